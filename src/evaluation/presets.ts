import type { GenerationOptions } from '../decoding/index.js';

/**
 * How the rows of DialoGPT's tables were decoded, as far as the paper is known to say (Zhang et al.
 * 2020, experiments, https://arxiv.org/abs/1911.00536): greedily; by beam search of width 10; and
 * by 16 samples from the 10 likeliest tokens, of which a reversed model chooses. The original's
 * code for this was never released, so the rest is ours and not confirmed: the temperature of 1,
 * that nothing forbids repetition, no length penalty, and that as much of the conversation is read
 * as there is room for.
 */
export const PRESETS = {
  greedy: { doSample: false },
  beam: { numBeams: 10 },
  mmi: { doSample: true, temperature: 1, topK: 10, numCandidates: 16, rerank: 'mmi' },
} as const satisfies Record<string, GenerationOptions>;

/** The name of a preset. */
export type PresetName = keyof typeof PRESETS;

/** The options of a preset; `mmi` draws from `seed`. */
export function presetOptions(
  preset: PresetName,
  { maxNewTokens, seed = 1 }: { readonly maxNewTokens?: number; readonly seed?: number } = {},
): GenerationOptions {
  return {
    ...PRESETS[preset],
    maxHistoryTurns: 0,
    noRepeatReplyNgramSize: 0,
    noRepeatHistoryNgramSize: 0,
    ...(maxNewTokens !== undefined && { maxNewTokens }),
    ...(preset === 'mmi' && { seed }),
  };
}
