import { resolve } from 'node:path';
import { UserError } from '../base/errors.js';
import { repeatCommand } from './train-config.js';
import { hasBuilt, isFolder } from './train-data.js';
import { newTrainCommand, type TrainCommand } from './train-flags.js';
import { completeSettings, either, type TrainSettings } from './train-settings.js';

/** Settings of which a run's data and model were made at its start; adapters are checked by themselves. */
const OF_THE_START = {
  validation: '--validation',
  maxSeqLength: '--max-seq-length',
  normalizeData: '--normalize-data',
  size: '--size',
  nLayer: '--n-layer',
  nEmbd: '--n-embd',
  nHead: '--n-head',
  nPositions: '--n-positions',
  initializerRange: '--initializer-range',
  dropout: '--dropout',
  vocabSize: '--vocab-size',
} as const satisfies Partial<Record<keyof TrainSettings, string>>;

/**
 * Sees to it that no flag asks a run that goes on for other data or another model than it has, which
 * would be passed over without a word. A dataset that the run has not built itself may lie elsewhere
 * now: what it holds is compared when it is open.
 *
 * @param out the folder of the run
 * @param command with the settings of the run where none were given
 * @param saved the settings of the run
 * @throws UserError for a setting that is another one now.
 */
export async function checkSameStart(
  out: string,
  command: TrainCommand,
  saved: Readonly<Record<string, string>>,
): Promise<void> {
  const before = newTrainCommand();
  repeatCommand(before, saved);
  const [was, is] = [startOf(before), startOf(command)];
  const built = await hasBuilt(out);
  const data = is.get('--data');
  if (!built.data && data !== undefined && (await isFolder(data))) is.delete('--data');
  if (!built.heldOut) is.delete('--eval-input-file');
  for (const [flag, value] of is) {
    const old = was.get(flag);
    // A path that was there when the run started was saved whole.
    if (value === old || (value && old && resolve(value) === resolve(old))) continue;
    throw new UserError(
      `${flag} cannot change within a run (${old ?? 'none'} to ${value ?? 'none'}); leave it as it was, or start a new run from these weights with --model.`,
    );
  }
}

/** What a run starts from, by the flags that say it. */
function startOf(command: TrainCommand): Map<string, string | undefined> {
  const flags = command.opts();
  const settings = completeSettings(flags, {});
  const start = new Map([
    ['--data', either(flags, 'data', 'trainInputFile')],
    ['--model', either(flags, 'model', 'modelNameOrPath')],
    ['--init-checkpoint', flags.initCheckpoint],
    ['--eval-input-file', flags.evalInputFile],
  ]);
  let key: keyof typeof OF_THE_START;
  for (key in OF_THE_START) {
    const value = settings[key];
    start.set(OF_THE_START[key], value === undefined ? undefined : String(value));
  }
  return start;
}
