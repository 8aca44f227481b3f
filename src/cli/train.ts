import { type CommandUnknownOpts } from '@commander-js/extra-typings';
import { rm } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { messageOf, UserError } from '../base/errors.js';
import { exists } from '../base/files.js';
import { readRank } from '../base/rank.js';
import { mergeAdapter } from '../checkpoint/index.js';
import { type Communicator, joinProcesses, requireDevice } from '../runtime/index.js';
import {
  checkpointFolder,
  checkpointSteps,
  Dashboard,
  openRun,
  runFolder,
  train,
  type TrainingState,
  type TrainResult,
} from '../training/index.js';
import { UsageError } from './arguments.js';
import { Interrupt, InterruptedError } from './interrupt.js';
import { givenSettings, readConfigFile, repeatCommand } from './train-config.js';
import { builtSource, openData, openSource } from './train-data.js';
import { newTrainCommand, type TrainCommand } from './train-flags.js';
import { checkAdapter, withFreshAdapter } from './train-lora.js';
import { checkSameStart } from './train-resume.js';
import { startingPoint } from './train-model.js';
import { sampleReplies } from './train-samples.js';
import { halfPrecision } from './train-precision.js';
import { completeSettings, either, trainOptions } from './train-settings.js';
import { TrainingDisplay } from './training-display.js';

/** The port of the page where none is given. */
const DASHBOARD_PORT = 8124;

/** `dialogpt train`: conversations → a model. */
export function trainCommand(): CommandUnknownOpts {
  const command = newTrainCommand();
  return command.action(async ({ config }) => {
    if (config !== undefined) await readConfigFile(command, config);
    const { continueFrom } = command.opts();
    const out = outputFolder(command);
    const resume =
      continueFrom === undefined || continueFrom === '0'
        ? undefined
        : await findRun(continueFrom, out);
    if (resume !== undefined) {
      repeatCommand(command, resume.command);
      await checkSameStart(out, command, resume.command);
    }
    const processes = joinProcesses();
    const { rank } = processes;
    const stood = await exists(out);
    let result;
    try {
      result = await run(command, out, resume, processes);
    } catch (error) {
      if (!stood && rank === 0) await removeUnlessSaved(out);
      if (processes.size > 1) endAll(processes, error);
      throw error;
    }
    await processes[Symbol.asyncDispose]();
    if (rank === 0) report(result, out);
  });
}

/** Says which program is which process: of one that was killed, some launchers name no more. */
async function namePrograms(processes: Communicator): Promise<void> {
  const programs = new Float64Array(processes.size);
  programs[processes.rank] = process.pid;
  await processes.allReduceSum(programs);
  if (processes.rank === 0) {
    notice(`${processes.size} processes, from 0 on, are the programs (PID) ${programs.join(', ')}`);
  }
}

/** Ends the job of a process that failed: the others would wait for it forever. */
function endAll(processes: Communicator, error: unknown): void {
  const { rank, size } = processes;
  process.stderr.write(`dialogpt: process ${rank} of ${size} failed: ${messageOf(error)}\n`);
  processes.abort();
}

async function run(
  command: TrainCommand,
  out: string,
  resume: TrainingState | undefined,
  processes: Communicator,
): Promise<TrainResult> {
  const { rank, size } = processes;
  const flags = command.opts();
  const data = either(flags, 'data', 'trainInputFile');
  const model = either(flags, 'model', 'modelNameOrPath');
  if (data === undefined) throw new UsageError('Say what to train on: --data FILE.');
  const device = flags.device ?? 'cpu';
  await requireDevice(device);
  if (resume === undefined && (await checkpointSteps(out)).length > 0) {
    throw new UserError(
      `${out}: it holds a run already; go on with --continue-from ${out}, or choose another --out.`,
    );
  }
  const fp16 = await halfPrecision(flags, device, rank === 0 ? notice : () => undefined);

  const start = resume === undefined ? await startingPoint(flags, model) : undefined;
  const settings = completeSettings(flags, start ?? resume?.settings ?? {});
  if (size > 1) await namePrograms(processes);
  // Rank 0 prepares the data; the others wait for it, and take what it has made.
  if (rank !== 0) await processes.barrier();
  const reuse = resume !== undefined || rank !== 0;
  const imported = join(out, 'conversations.tsv');
  const source =
    (resume === undefined ? undefined : await builtSource(out)) ??
    (reuse && (await exists(imported))
      ? { path: imported, isDataset: false }
      : await openSource(data, imported));
  const loaded = resume?.checkpoint ?? (await start?.load(source, settings.seed));
  if (loaded === undefined) throw new Error('A run starts from nothing.');
  if (resume !== undefined) checkAdapter(loaded, flags);
  const checkpoint =
    resume !== undefined ? loaded : await withFreshAdapter(loaded, flags, model, settings.seed);
  const { n_positions: longest } = checkpoint.parameters.config;
  if (!source.isDataset && settings.maxSeqLength > longest) {
    throw new UsageError(
      `--max-seq-length ${settings.maxSeqLength}: the model reads ${longest} tokens at most; give --max-seq-length ${longest}.`,
    );
  }
  const { dataset, heldOut } = await openData(source, out, checkpoint.tokenizer, settings, reuse);
  if (rank === 0) await processes.barrier();

  const options = trainOptions(settings, dataset.length, size);
  const display =
    rank === 0 ? new TrainingDisplay(options.numOptimSteps, settings.pbar ?? true) : undefined;
  await using dashboard =
    rank === 0 ? await startDashboard(flags.dashboard, out, settings.logDir, resume) : undefined;
  using interrupt = new Interrupt(() => {
    process.stderr.write('\nStopping after this step; press Ctrl-C again to stop at once.\n');
  });
  try {
    // An empty share that was wanted is told of; where none was, there is nothing to tell.
    const wanted = settings.validation === 0 && heldOut?.length === 0 ? undefined : heldOut;
    return await train(checkpoint, dataset, wanted, {
      ...options,
      fp16,
      ...(resume === undefined ? {} : { resume }),
      outputDir: out,
      command: await givenSettings(command),
      signal: interrupt.signal,
      processes,
      onNotice: rank === 0 ? notice : () => undefined,
      onStep: (step) => {
        display?.step(step);
        dashboard?.step(step);
      },
      onValidation: async (validation) => {
        display?.validation(validation);
        dashboard?.validation(validation);
        if (settings.sampleReplies === 0 || heldOut === undefined || rank !== 0) return;
        const { sampleReplies: count, threads } = settings;
        const merged = mergeAdapter(checkpoint);
        const samples = await sampleReplies(merged, heldOut, count, threads);
        display?.samples(samples);
        dashboard?.samples(samples);
      },
    });
  } finally {
    display?.stop();
  }
}

/** The page of the run, if it is wanted. */
async function startDashboard(
  wanted: number | boolean | undefined,
  out: string,
  logs = out,
  resume?: TrainingState,
): Promise<Dashboard | undefined> {
  if (wanted === undefined || wanted === false) return undefined;
  const dashboard = await Dashboard.start({
    run: basename(resolve(out)),
    port: wanted === true ? DASHBOARD_PORT : wanted,
    ...(resume === undefined ? {} : { past: { folder: logs, step: resume.progress.step } }),
  });
  notice(`The run is shown at ${dashboard.url}`);
  return dashboard;
}

/** Where the run's files are: what was said, or the run that is continued. */
function outputFolder(command: TrainCommand): string {
  const { continueFrom, ...flags } = command.opts();
  const out = either(flags, 'out', 'outputDir');
  const run =
    continueFrom === undefined || isStep(continueFrom) ? undefined : runFolder(continueFrom);
  if (out !== undefined && run !== undefined && resolve(out) !== resolve(run)) {
    throw new UsageError(
      `--continue-from ${run} goes on in that folder; leave out --out, or start a new run from its weights with --model ${run}.`,
    );
  }
  const folder = out ?? run;
  if (folder === undefined) throw new UsageError('Say where the model goes: --out FOLDER.');
  return folder;
}

/** The state to go on from; none where the run was killed before its first checkpoint. */
async function findRun(from: string, out: string): Promise<TrainingState | undefined> {
  const say = readRank().rank === 0 ? notice : () => undefined;
  const state = await openRun(isStep(from) ? checkpointFolder(out, Number(from)) : from, say);
  say(
    state === undefined
      ? `${out} has no checkpoint yet; starting at the beginning`
      : `Going on from ${state.folder}`,
  );
  return state;
}

/** The original's argument was a number of steps. */
function isStep(text: string): boolean {
  return /^\d+$/.test(text);
}

function notice(sentence: string): void {
  process.stderr.write(`${sentence.replace(/\.$/, '')}.\n`);
}

/** Removes what a failed run has begun, unless it has saved something. */
async function removeUnlessSaved(out: string): Promise<void> {
  if ((await checkpointSteps(out)).length > 0) return;
  await rm(out, { recursive: true, force: true });
}

function report(result: TrainResult, out: string): void {
  if (result.interrupted) {
    throw new InterruptedError(
      `Interrupted after step ${result.steps}; the model so far is in ${out}, and --continue-from ${out} goes on.`,
    );
  }
  if (result.stoppedEarly) {
    console.log(`Stopped at step ${result.steps}: the held-out perplexity became no lower.`);
  }
  const { best } = result;
  const which = best === undefined ? '' : ` It is that of step ${best.step}, the best.`;
  console.log(`The model is in ${out}.${which} Talk to it:\n  npx dialogpt chat --model ${out}`);
}
