import { InvalidArgumentError } from '@commander-js/extra-typings';
import {
  evaluateModel,
  type ModelEvaluationOptions,
  type ModelRun,
  type PresetName,
  PRESETS,
} from '../evaluation/index.js';
import { readModelDefaults } from '../decoding/index.js';
import { defined, UsageError } from './arguments.js';
import { findModel } from './find-model.js';
import { Interrupt, InterruptedError } from './interrupt.js';
import { type Progress, showProgress } from './progress.js';

/** The presets' names. */
export const PRESET_NAMES = ['greedy', 'beam', 'mmi'] as const satisfies (keyof typeof PRESETS)[];

/** Reads names of presets, separated by commas. */
export function presetNames(text: string): PresetName[] {
  const names = text.split(',').map((name) => {
    const known = PRESET_NAMES.find((preset) => preset === name.trim());
    if (known === undefined) {
      throw new InvalidArgumentError(`Give some of ${PRESET_NAMES.join(', ')}.`);
    }
    return known;
  });
  return [...new Set(names)];
}

/** What the flags about a model read. */
export interface ModelFlags {
  readonly model: string;
  readonly presets?: PresetName[];
  readonly reverseModel?: string;
  readonly contexts?: string;
  readonly out?: string;
  readonly overwrite?: true;
  readonly batchSize?: number;
  readonly maxNewTokens?: number;
  readonly seed?: number;
  readonly device?: ModelRun['device'];
  readonly threads?: number;
}

/** Lets the model that the flags name respond, with progress on standard error, and scores it. */
export async function evaluateNamedModel(
  flags: ModelFlags,
  options: ModelEvaluationOptions,
): Promise<Awaited<ReturnType<typeof evaluateModel>>> {
  const { presets = ['greedy'], contexts } = flags;
  const ranked = presets.includes('mmi');
  if (!ranked && flags.reverseModel !== undefined) {
    throw new UsageError('--reverse-model is for the preset mmi.');
  }
  const model = await findModel(flags.model);
  const reverseModel = ranked
    ? (flags.reverseModel ?? (await readModelDefaults(model)).reverseModel)
    : undefined;
  if (ranked && reverseModel === undefined) {
    throw new UsageError('The preset mmi needs a --reverse-model.');
  }
  using interrupt = new Interrupt(() => {
    process.stderr.write('\nStopping; press Ctrl-C again to stop at once.\n');
  });
  const display = new ResponseProgress();
  const run: ModelRun = {
    model,
    presets,
    signal: interrupt.signal,
    onResponse: (preset, done, total, tokens) => {
      display.update(preset, done, total, tokens);
    },
    ...defined({
      reverseModel: reverseModel === undefined ? undefined : await findModel(reverseModel),
      out: flags.out,
      overwrite: flags.overwrite,
      batchSize: flags.batchSize,
      maxNewTokens: flags.maxNewTokens,
      seed: flags.seed,
      device: flags.device,
      threads: flags.threads,
    }),
  };
  try {
    return await evaluateModel(run, { ...options, ...defined({ contexts }) });
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    throw new InterruptedError(
      flags.out === undefined
        ? 'Interrupted; with --out, responses are kept.'
        : 'Interrupted; the responses so far are kept, and the same command goes on.',
    );
  } finally {
    display.stop();
  }
}

/** Shows how far responding is, one preset after the other. */
class ResponseProgress {
  #preset: PresetName | undefined;
  #progress: Progress | undefined;
  #started = 0;

  update(preset: PresetName, done: number, total: number, tokens: number): void {
    if (preset !== this.#preset) {
      this.stop();
      this.#preset = preset;
      this.#progress = showProgress(preset, total, 'responses');
      this.#started = performance.now();
    }
    const seconds = (performance.now() - this.#started) / 1000;
    this.#progress?.update(done, seconds > 0 ? `${Math.round(tokens / seconds)} tokens/s` : '');
  }

  stop(): void {
    this.#progress?.stop();
  }
}
