import { Option } from '@commander-js/extra-typings';
import type { GenerationOptions } from '../decoding/index.js';
import { defined, number, UsageError, wholeNumber } from './arguments.js';

/** The flags of decoding, named as in Hugging Face's `generate`, for every command that decodes. */
export const generationFlags = {
  maxNewTokens: new Option('--max-new-tokens <tokens>', 'the longest reply (60)').argParser(
    wholeNumber(1),
  ),
  greedy: new Option('--greedy', 'always take the likeliest token'),
  temperature: new Option(
    '--temperature <number>',
    'below 1 is safer, above is bolder (0.7)',
  ).argParser(number('a number above 0', (value) => value > 0)),
  topK: new Option(
    '--top-k <tokens>',
    'draw from this many likeliest tokens (40; 0 is all)',
  ).argParser(wholeNumber(0)),
  topP: new Option(
    '--top-p <share>',
    'draw from the likeliest tokens of this probability together (1)',
  ).argParser(number('a number above 0 and up to 1', (value) => value > 0 && value <= 1)),
  maxHistoryTurns: new Option(
    '--max-history-turns <turns>',
    'turns of the conversation to read (5; 0 is all that fit)',
  ).argParser(wholeNumber(0)),
  seed: new Option('--seed <number>', 'makes replies repeatable').argParser(wholeNumber(0)),
} as const;

/** What {@link generationFlags} read. */
export interface GenerationFlags {
  readonly maxNewTokens?: number;
  readonly greedy?: true;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly maxHistoryTurns?: number;
  readonly seed?: number;
}

/** Flags as options of the library. */
export function toGenerationOptions({ greedy, ...flags }: GenerationFlags): GenerationOptions {
  const sampling = [flags.temperature, flags.topK, flags.topP, flags.seed];
  if (greedy === true && sampling.some((value) => value !== undefined)) {
    throw new UsageError(
      '--greedy draws nothing; leave out --temperature, --top-k, --top-p and --seed.',
    );
  }
  return { ...defined({ ...flags }), ...(greedy === true ? { doSample: false } : {}) };
}
