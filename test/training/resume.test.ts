import assert from 'node:assert/strict';
import { cp, mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { at, range } from '../../src/base/arrays.js';
import { UserError } from '../../src/base/errors.js';
import { freshCheckpoint, loadCheckpoint } from '../../src/checkpoint/index.js';
import { buildDataset, Dataset } from '../../src/dataset/index.js';
import { Tokenizer, trainVocabulary } from '../../src/tokenizer/index.js';
import { openRun, train, type TrainOptions, type TrainResult } from '../../src/training/index.js';
import { temporaryFolder } from '../support/files.js';
import { readLog, timelessLogs } from '../support/training.js';

/** Where a killed program may have left the checkpoint of step 9. */
const partial = (run: string) => join(run, '.checkpoint-9.0123456789ab.partial');

const lines = range(0, 50).map(
  (number) =>
    `how much is ${number} and one ?\tit is ${number + 1} , I ${'do '.repeat(number % 7)}think`,
);
const tokenizer = new Tokenizer(trainVocabulary(lines, 300));
const shape = {
  n_positions: 64,
  n_embd: 32,
  n_layer: 1,
  n_head: 2,
  attn_pdrop: 0.2,
  resid_pdrop: 0.2,
  embd_pdrop: 0.2,
};
const STEPS = 17;

interface Data {
  readonly folder: string;
  readonly data: Dataset;
  readonly held: Dataset;
}

async function datasets(context: TestContext): Promise<Data> {
  const folder = await temporaryFolder(context);
  const corpus = join(folder, 'corpus.tsv');
  await writeFile(corpus, `${lines.join('\n')}\n`);
  const out = join(folder, 'set');
  await buildDataset(corpus, out, tokenizer, { maxSequenceLength: 64, validation: 0.2 });
  return { folder, data: await Dataset.open(out), held: await Dataset.open(out, 'validation') };
}

const options = (outputDir: string, more: Partial<TrainOptions> = {}): TrainOptions => ({
  outputDir,
  numOptimSteps: STEPS,
  trainBatchSize: 4,
  gradientAccumulationSteps: 2,
  learningRate: 1e-3,
  lrSchedule: 'cosine',
  validStep: 4,
  saveSteps: 3,
  threads: 1,
  ...more,
});

/** Trains in `name`, from where the run stands, up to step `until` as if Ctrl-C were pressed. */
async function go(
  { folder, data, held }: Data,
  name: string,
  until = Infinity,
  more: Partial<TrainOptions> = {},
): Promise<{ result: TrainResult; notices: string[] }> {
  const out = join(folder, name);
  const notices: string[] = [];
  const onNotice = (sentence: string) => notices.push(sentence);
  const resume = await openRun(out, onNotice);
  const stop = new AbortController();
  const result = await train(
    resume?.checkpoint ?? freshCheckpoint(tokenizer, shape, 5),
    data,
    held,
    options(out, {
      ...(resume === undefined ? {} : { resume }),
      signal: stop.signal,
      onStep: ({ step }) => {
        if (step === until) stop.abort();
      },
      onNotice,
      ...more,
    }),
  );
  return { result, notices };
}

async function assertSameRun({ folder }: Data, name: string, other: string): Promise<void> {
  const [one, two] = [join(folder, name), join(folder, other)];
  assert.deepEqual(await timelessLogs(two), await timelessLogs(one));
  for (const path of ['.', `checkpoint-${STEPS}`]) {
    const first = await loadCheckpoint(join(one, path));
    const second = await loadCheckpoint(join(two, path));
    assert.deepEqual(second.parameters.buffer, first.parameters.buffer);
  }
  const moments = join(`checkpoint-${STEPS}`, 'training', 'optimizer.safetensors');
  assert.deepEqual(await readFile(join(two, moments)), await readFile(join(one, moments)));
}

describe('a run that goes on', () => {
  it('is bit for bit the run that was never interrupted, wherever it stopped', async (context) => {
    const data = await datasets(context);
    const { result } = await go(data, 'whole');
    assert.equal((await readLog(join(data.folder, 'whole'), 'train_log.txt')).length, STEPS + 1);
    // Five batches of the epoch's ten… every place in an epoch, with and without a validation.
    for (const until of [1, 4, 5, 6, 9, 13]) {
      const { result: part } = await go(data, 'parts', until);
      assert.deepEqual([part.steps, part.interrupted], [until, true]);
    }
    const { result: last, notices } = await go(data, 'parts');
    assert.deepEqual(last, result);
    assert.deepEqual(notices, []);
    await assertSameRun(data, 'whole', 'parts');
    // It is done: nothing more happens.
    assert.deepEqual((await go(data, 'parts')).result, result);
  });

  it('keeps the newest checkpoints, and the best model in the folder itself', async (context) => {
    const data = await datasets(context);
    await go(data, 'run', Infinity, { keep: 3 });
    const names = (await readdir(join(data.folder, 'run'))).filter((name) =>
      name.startsWith('checkpoint-'),
    );
    assert.deepEqual(names.sort(), ['checkpoint-12', 'checkpoint-15', 'checkpoint-17']);
  });

  it('takes the last good checkpoint, saying so, when newer ones are damaged', async (context) => {
    const data = await datasets(context);
    await go(data, 'whole');
    await go(data, 'run', 14, { keep: 9 });
    const run = join(data.folder, 'run');
    const file = (step: number, ...parts: string[]) => join(run, `checkpoint-${step}`, ...parts);
    // One flipped bit, a file cut short, a file that is missing, a state that is not JSON.
    const weights = await open(file(14, 'model.safetensors'), 'r+');
    const byte = Buffer.alloc(1);
    await weights.read(byte, 0, 1, 5000);
    await weights.write(Buffer.of(at(byte, 0) ^ 1), 0, 1, 5000);
    await weights.close();
    const moments = await readFile(file(12, 'training', 'optimizer.safetensors'));
    await writeFile(file(12, 'training', 'optimizer.safetensors'), moments.subarray(0, 3000));
    await rm(file(9, 'training', 'state.json'));
    await writeFile(file(6, 'training', 'state.json'), '{"format":');
    const { notices } = await go(data, 'run', Infinity, { keep: 9 });
    assert.equal(notices.length, 4);
    for (const [index, step] of [14, 12, 9, 6].entries()) {
      assert.match(at(notices, index), new RegExp(`checkpoint-${step} cannot be used \\(.+\\)$`));
    }
    await assertSameRun(data, 'whole', 'run');
  });

  it('says when no checkpoint is left to go on from', async (context) => {
    const data = await datasets(context);
    await go(data, 'run', 3);
    await rm(join(data.folder, 'run', 'checkpoint-3', 'model.safetensors'));
    await assert.rejects(
      openRun(join(data.folder, 'run')),
      /none of its 1 checkpoints can be read/,
    );
  });

  it('survives a kill at each step of writing a checkpoint', async (context) => {
    const data = await datasets(context);
    await go(data, 'whole');
    await go(data, 'base', 9);
    const base = join(data.folder, 'base');
    const nine = join(data.folder, 'checkpoint-9');
    await rename(join(base, 'checkpoint-9'), nine);
    const states: readonly (readonly [string, (run: string) => Promise<void>])[] = [
      ['nothing but the folder', (run) => mkdir(partial(run))],
      [
        'half of the files',
        async (run) => {
          await cp(nine, partial(run), { recursive: true });
          await rm(join(partial(run), 'training'), { recursive: true });
        },
      ],
      ['all but the rename', (run) => cp(nine, partial(run), { recursive: true })],
      [
        'an old one moved away, the new one not in place',
        async (run) => {
          await cp(nine, partial(run), { recursive: true });
          await rename(join(run, 'checkpoint-6'), join(run, '.checkpoint-6.0123456789ab.partial'));
        },
      ],
      [
        'the rename, older ones not removed',
        (run) => cp(nine, join(run, 'checkpoint-9'), { recursive: true }),
      ],
    ];
    for (const [what, leave] of states) {
      const run = join(data.folder, 'killed');
      await cp(base, run, { recursive: true });
      await leave(run);
      await go(data, 'killed');
      assert.ok(!(await readdir(run)).some((name) => name.endsWith('.partial')), what);
      await assertSameRun(data, 'whole', 'killed');
      await rm(run, { recursive: true });
    }
  });

  it('stops early where it would have, counting validations across the break', async (context) => {
    const data = await datasets(context);
    // A rate at which nothing is learnt but noise.
    const more = { learningRate: 0.3, lrSchedule: 'None', earlyStoppingPatience: 2 } as const;
    const whole = await go(data, 'whole', Infinity, { ...more, validStep: 1 });
    assert.ok(whole.result.stoppedEarly && whole.result.steps < STEPS);
    assert.equal(whole.result.best?.step, whole.result.steps - 2);
    await go(data, 'parts', whole.result.steps - 1, { ...more, validStep: 1 });
    const parts = await go(data, 'parts', Infinity, { ...more, validStep: 1 });
    assert.deepEqual(parts.result, whole.result);
    // The folder holds the best model, not the last one.
    const best = await loadCheckpoint(join(data.folder, 'whole'));
    const last = await loadCheckpoint(
      join(data.folder, 'whole', `checkpoint-${whole.result.steps}`),
    );
    assert.notDeepEqual(best.parameters.buffer, last.parameters.buffer);
  });

  it('may be made longer, and begins again at an earlier checkpoint when told to', async (context) => {
    const data = await datasets(context);
    const noam = { lrSchedule: 'noam', warmupSteps: 10, keep: 9 } as const;
    await go(data, 'whole', Infinity, { ...noam, numOptimSteps: 20 });
    await go(data, 'short', Infinity, { ...noam, numOptimSteps: 12 });
    const { notices } = await go(data, 'short', Infinity, { ...noam, numOptimSteps: 20 });
    assert.deepEqual(notices, []);
    const [whole, short] = [join(data.folder, 'whole'), join(data.folder, 'short')];
    assert.deepEqual(await timelessLogs(short), await timelessLogs(whole));
    const state = await openRun(join(short, 'checkpoint-9'));
    assert.equal(state?.progress.step, 9);
    const left = (await readdir(short)).filter((name) => name.startsWith('checkpoint-'));
    assert.deepEqual(left.sort(), ['checkpoint-3', 'checkpoint-6', 'checkpoint-9']);
  });

  it('refuses settings with which it cannot go on, and tells of those that change it', async (context) => {
    const data = await datasets(context);
    await go(data, 'run', 3);
    for (const [more, message] of [
      [{ seed: 1 }, /^UserError: --seed cannot change within a run \(42 to 1\)/],
      [{ trainBatchSize: 5 }, /^UserError: --train-batch-size cannot change/],
      [
        { gradientAccumulationSteps: 1 },
        /--gradient-accumulation-steps times the number of processes cannot change/,
      ],
      [{ noTokenId: false }, /--no-token-id cannot change/],
    ] as const) {
      await assert.rejects(go(data, 'run', 4, more), message);
    }
    const other = { ...data, data: data.held };
    await assert.rejects(go(other, 'run', 4), /the training data cannot change/);
    const { notices } = await go(data, 'run', 4, { learningRate: 2e-3, numOptimSteps: 99 });
    assert.deepEqual(
      notices.map((notice) => notice.split(':')[0]),
      [
        '--learning-rate changes from 0.001 to 0.002',
        '--num-optim-steps, which stretches the schedule, changes from 17 to 99',
      ],
    );
  });

  it('does not write over a run', async (context) => {
    const data = await datasets(context);
    await go(data, 'run', 3);
    const again = train(
      freshCheckpoint(tokenizer, shape, 5),
      data.data,
      data.held,
      options(join(data.folder, 'run')),
    );
    await assert.rejects(again, UserError);
  });
});
