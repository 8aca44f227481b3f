import { resolve } from 'node:path';
import { Random } from '../base/random.js';
import { UserError } from '../base/errors.js';
import { exists } from '../base/files.js';
import { type Checkpoint, SHORT_NAMES } from '../checkpoint/index.js';
import { LORA_MODULES, LoraAdapter, type LoraOptions, targetedModules } from '../model/index.js';
import { UsageError } from './arguments.js';
import type { TrainFlags } from './train-flags.js';

/** PEFT's own defaults for GPT-2. */
const DEFAULT_ALPHA = 8;
const DEFAULT_MODULES = 'c_attn';

/** The adapter that the flags describe; undefined where the whole model is trained. */
export function loraOptions(flags: TrainFlags): LoraOptions | undefined {
  const { loraRank: rank, loraAlpha, loraDropout, loraTargetModules } = flags;
  if (rank === undefined) {
    if (loraAlpha !== undefined || loraDropout !== undefined || loraTargetModules !== undefined) {
      throw new UsageError('The flags of an adapter need --lora-rank.');
    }
    return undefined;
  }
  const targetModules = (loraTargetModules ?? DEFAULT_MODULES)
    .split(',')
    .map((name) => name.trim());
  const unknown = targetModules.find((name) => targetedModules([name]).length === 0);
  if (unknown !== undefined) {
    throw new UsageError(
      `--lora-target-modules: a layer has no "${unknown}", only ${LORA_MODULES.join(', ')} (c_proj means both).`,
    );
  }
  return { rank, alpha: loraAlpha ?? DEFAULT_ALPHA, dropout: loraDropout ?? 0, targetModules };
}

/**
 * Lays a fresh adapter beside a model if the flags ask for one.
 *
 * @param model the model as the person named it
 */
export async function withFreshAdapter(
  checkpoint: Checkpoint,
  flags: TrainFlags,
  model: string | undefined,
  seed: number,
): Promise<Checkpoint> {
  const options = loraOptions(flags);
  if (options === undefined) return checkpoint;
  if (model === undefined || flags.initCheckpoint !== undefined) {
    throw new UsageError(
      '--lora-rank trains an adapter of a model that stays: name it with --model.',
    );
  }
  const base = (await exists(model)) ? resolve(model) : (SHORT_NAMES.get(model) ?? model);
  const { config } = checkpoint.parameters;
  // The masks and the order of the data come from the seed itself.
  const random = new Random(seed + 2 ** 32);
  return { ...checkpoint, adapter: LoraAdapter.initialize(config, options, base, random) };
}

/** @throws UserError if the flags describe another adapter than that of the run. */
export function checkAdapter({ adapter }: Checkpoint, flags: TrainFlags): void {
  const now = describe(loraOptions(flags));
  const before = describe(adapter?.options);
  if (now === before) return;
  throw new UserError(
    `The adapter cannot change within a run (${before} to ${now}); leave its flags as they were, or start a new run.`,
  );
}

function describe(options: LoraOptions | undefined): string {
  if (options === undefined) return 'none';
  const { rank, alpha, dropout, targetModules } = options;
  return `rank ${rank}, alpha ${alpha}, dropout ${dropout}, ${targetModules.join(',')}`;
}
