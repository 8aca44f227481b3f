import { readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { messageOf, UserError, withFileErrors } from '../base/errors.js';
import { exists, writeFolderWhole } from '../base/files.js';
import { type Checkpoint, saveCheckpoint } from '../checkpoint/index.js';
import type { Moments } from './learner.js';
import { loadState, saveState, type StateFile, type TrainingState } from './state.js';

const NAME = /^checkpoint-(\d+)$/;
/** What a program that was killed while it wrote or replaced something leaves behind. */
const LEFT_OVER = /^\..+\.[0-9a-f]{12}\.partial$/;

/** The folder of the checkpoint of a step. */
export function checkpointFolder(out: string, step: number): string {
  return join(out, `checkpoint-${step}`);
}

/** The steps of a run's checkpoints, the newest first; none where there is no such folder. */
export async function checkpointSteps(out: string): Promise<number[]> {
  if (!(await exists(out))) return [];
  const names = await withFileErrors(out, () => readdir(out));
  return names
    .flatMap((name) => NAME.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => b - a);
}

/** Saves a checkpoint beside its place and renames it, then removes those that are too many. */
export async function writeCheckpoint(
  out: string,
  checkpoint: Checkpoint,
  moments: Moments,
  state: Omit<StateFile, 'format' | 'checksums'>,
  keep: number,
): Promise<void> {
  const { step } = state.progress;
  await writeFolderWhole(checkpointFolder(out, step), async (folder) => {
    await saveCheckpoint(folder, checkpoint);
    await saveState(folder, checkpoint, moments, state);
  });
  // Later ones are damaged, or of a course that the run has left.
  const steps = await checkpointSteps(out);
  const kept = steps.filter((other) => other <= step).slice(0, Math.max(1, keep));
  for (const other of steps.filter((one) => !kept.includes(one))) {
    await removeCheckpoint(out, other);
  }
}

async function removeCheckpoint(out: string, step: number): Promise<void> {
  await rm(checkpointFolder(out, step), { recursive: true, force: true });
}

/** The folder of the run that `path` (a run, or one of its checkpoints) belongs to. */
export function runFolder(path: string): string {
  return NAME.test(basename(path)) ? join(path, '..') : path;
}

/**
 * Opens what a run goes on from: the newest of its checkpoints that is whole, or the one that
 * `path` names, whose later ones are then removed. What a killed program left half written goes.
 *
 * @param path the folder of a run or of one of its checkpoints
 * @param onNotice is told of each checkpoint that is damaged
 * @returns undefined if the run has no checkpoint.
 * @throws UserError if all are damaged.
 */
export async function openRun(
  path: string,
  onNotice: (sentence: string) => void = () => undefined,
): Promise<TrainingState | undefined> {
  const out = runFolder(path);
  await removeLeftOvers(out);
  if (path !== out) {
    if (!(await exists(path))) {
      const steps = await checkpointSteps(out);
      const those = steps.length === 0 ? 'no checkpoint' : `those of steps ${steps.join(' and ')}`;
      throw new UserError(`${path}: there is no such checkpoint; ${out} has ${those}.`);
    }
    const state = await loadState(path);
    for (const step of await checkpointSteps(out)) {
      if (step > state.progress.step) await removeCheckpoint(out, step);
    }
    return state;
  }
  const steps = await checkpointSteps(out);
  for (const step of steps) {
    const folder = checkpointFolder(out, step);
    try {
      return await loadState(folder);
    } catch (error) {
      onNotice(`${folder} cannot be used (${messageOf(error)})`);
    }
  }
  if (steps.length === 0) return undefined;
  throw new UserError(
    `${out}: none of its ${steps.length} checkpoints can be read; start anew with another --out.`,
  );
}

/** Removes what a killed program left half written in the folder of a run. */
export async function removeLeftOvers(out: string): Promise<void> {
  if (!(await exists(out))) return;
  const names = await withFileErrors(out, () => readdir(out));
  for (const name of names.filter((one) => LEFT_OVER.test(one))) {
    await rm(join(out, name), { recursive: true, force: true });
  }
}
