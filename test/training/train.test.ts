import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { at, range } from '../../src/base/arrays.js';
import { UserError } from '../../src/base/errors.js';
import { type Checkpoint, freshCheckpoint, loadCheckpoint } from '../../src/checkpoint/index.js';
import { buildDataset, Dataset } from '../../src/dataset/index.js';
import { Tokenizer, trainVocabulary } from '../../src/tokenizer/index.js';
import {
  LossModel,
  measurePerplexity,
  type StepReport,
  train,
  type TrainOptions,
  unigramPerplexity,
  type ValidationReport,
} from '../../src/training/index.js';
import { temporaryFolder } from '../support/files.js';
import { assertClose } from '../support/numbers.js';

const animals = ['cat', 'dog', 'cow', 'duck', 'pig', 'hen', 'goat', 'bee', 'owl', 'ant'];
const sounds = ['meow', 'woof', 'moo', 'quack', 'oink', 'cluck', 'baa', 'buzz', 'hoot', 'nothing'];
const lines = ['hello', 'hi', 'good day', 'please', 'now', 'then', 'so', 'well'].flatMap((start) =>
  animals.map(
    (animal, index) => `${start} , what does the ${animal} say ?\tit says ${at(sounds, index)}`,
  ),
);
const tokenizer = new Tokenizer(trainVocabulary(lines, 320));
const size = { n_positions: 64, n_embd: 32, n_layer: 1, n_head: 2, attn_pdrop: 0.1 };
const fresh = (): Checkpoint => freshCheckpoint(tokenizer, size, 3);

async function datasets(
  context: TestContext,
): Promise<{ folder: string; data: Dataset; held: Dataset }> {
  const folder = await temporaryFolder(context);
  const corpus = join(folder, 'corpus.tsv');
  await writeFile(corpus, `${lines.join('\n')}\n`);
  const out = join(folder, 'set');
  await buildDataset(corpus, out, tokenizer, { maxSequenceLength: 64, validation: 0.2 });
  return { folder, data: await Dataset.open(out), held: await Dataset.open(out, 'validation') };
}

const options = (folder: string, more: Partial<TrainOptions> = {}): TrainOptions => ({
  outputDir: join(folder, 'model'),
  numOptimSteps: 6,
  trainBatchSize: 8,
  learningRate: 1e-3,
  lrSchedule: 'cosine',
  threads: 1,
  ...more,
});

describe('train', () => {
  it('lowers the loss of held-out dialogues below the unigram level, and logs it', async (context) => {
    const { folder, data, held } = await datasets(context);
    const validations: ValidationReport[] = [];
    const steps: StepReport[] = [];
    const checkpoint = fresh();
    const result = await train(
      checkpoint,
      data,
      held,
      options(folder, {
        numOptimSteps: 60,
        validStep: 20,
        learningRate: 5e-3,
        onStep: (report) => steps.push(report),
        onValidation: (report) => validations.push(report),
      }),
    );
    assert.deepEqual([result.steps, result.interrupted], [60, false]);
    assert.deepEqual(
      validations.map(({ step }) => step),
      [20, 40, 60],
    );
    assert.deepEqual(
      steps.map(({ step }) => step),
      range(1, 61),
    );
    assert.deepEqual(validations.at(-1), result.validation);
    const unigram = unigramPerplexity(data, held, tokenizer.size);
    const reached = result.validation?.perplexity ?? Infinity;
    assert.ok(reached < unigram / 2, `${reached}, unigrams ${unigram}`);

    const log = async (name: string) => {
      const text = await readFile(join(folder, 'model', name), 'utf8');
      return text
        .trimEnd()
        .split('\n')
        .map((line) => line.split(','));
    };
    const trained = await log('train_log.txt');
    const columns =
      'epoch,global_step,step,mean_loss,mean_ppl,n_token_real,n_token_total,epoch_time';
    assert.equal(trained[0]?.join(), columns);
    assert.equal(trained.length, 61);
    assert.ok(
      trained
        .slice(1)
        .flat()
        .every((field) => Number.isFinite(Number(field))),
    );
    assert.equal(Number(trained[1]?.[3]).toFixed(5), steps[0]?.loss.toFixed(5));
    const evaluated = await log('eval_log.txt');
    assert.equal(evaluated[0]?.join(), 'epoch,global_step,step,eval_loss,eval_ppl');
    assert.deepEqual(
      evaluated.slice(1).map((row) => Number(row[3])),
      validations.map(({ loss }) => loss),
    );

    // The last checkpoint holds the model as it is now, the folder itself the best one.
    const saved = await loadCheckpoint(join(folder, 'model', 'checkpoint-60'));
    assert.deepEqual(saved.parameters.buffer, checkpoint.parameters.buffer);
    const best = await loadCheckpoint(join(folder, 'model'));
    await using model = await LossModel.forEvaluation(best.parameters, { threads: 1 });
    const again = await measurePerplexity(model, held, { batchSize: 8 });
    assert.equal(again.loss, Math.min(...validations.map(({ loss }) => loss)));
    assert.equal(again.loss, result.best?.loss);
  });

  it('does the same twice from the same seed, bit for bit, and other things from another', async (context) => {
    const { folder, data } = await datasets(context);
    const run = async (seed: number) => {
      const losses: number[] = [];
      const checkpoint = fresh();
      await rm(join(folder, 'model'), { recursive: true, force: true });
      const onStep = ({ loss, gradientNorm }: StepReport) => losses.push(loss, gradientNorm);
      await train(checkpoint, data, undefined, options(folder, { seed, onStep }));
      return { losses, weights: checkpoint.parameters.buffer };
    };
    const first = await run(1);
    assert.deepEqual(await run(1), first);
    assert.notDeepEqual((await run(2)).losses, first.losses);
  });

  it('ends at a signal after the step at hand, with a checkpoint', async (context) => {
    const { folder, data, held } = await datasets(context);
    const controller = new AbortController();
    const checkpoint = fresh();
    const result = await train(
      checkpoint,
      data,
      held,
      options(folder, {
        numOptimSteps: 1000,
        signal: controller.signal,
        onStep: ({ step }) => {
          if (step === 3) controller.abort();
        },
      }),
    );
    assert.deepEqual([result.steps, result.interrupted], [3, true]);
    const saved = await loadCheckpoint(join(folder, 'model'));
    assert.deepEqual(saved.parameters.buffer, checkpoint.parameters.buffer);
  });

  it('takes batches together as one larger batch', async (context) => {
    const { folder, data } = await datasets(context);
    const first = async (more: Partial<TrainOptions>) => {
      const reports: StepReport[] = [];
      await rm(join(folder, 'model'), { recursive: true, force: true });
      const checkpoint = freshCheckpoint(
        tokenizer,
        { ...size, attn_pdrop: 0, resid_pdrop: 0, embd_pdrop: 0 },
        3,
      );
      await train(
        checkpoint,
        data,
        undefined,
        options(folder, {
          numOptimSteps: 1,
          onStep: (report) => reports.push(report),
          ...more,
        }),
      );
      return { report: at(reports, 0), weights: checkpoint.parameters.buffer };
    };
    // All examples in one step, so that both take the same ones.
    const whole = await first({ trainBatchSize: data.length });
    const half = Math.ceil(data.length / 2);
    const parts = await first({ trainBatchSize: half, gradientAccumulationSteps: 2 });
    assertClose([parts.report.loss], [whole.report.loss], 1e-6, 'loss');
    assertClose([parts.report.gradientNorm], [whole.report.gradientNorm], 1e-5, 'norm');
    assert.equal(parts.report.tokens, whole.report.tokens);
  });

  it('says what to do when the loss is no number, and saves no such model', async (context) => {
    const { folder, data, held } = await datasets(context);
    const checkpoint = fresh();
    checkpoint.parameters.buffer.fill(NaN);
    const fails = train(checkpoint, data, held, options(folder));
    await assert.rejects(fails, (error: unknown) => {
      assert.ok(error instanceof UserError);
      assert.match(error.message, /^The loss became NaN at step 1; .* lower --learning-rate\.$/);
      return true;
    });
    await assert.rejects(loadCheckpoint(join(folder, 'model')), UserError);
  });

  it('refuses a dataset that does not fit the model', async (context) => {
    const { folder, data } = await datasets(context);
    const other = new Tokenizer(trainVocabulary(lines, 300));
    await assert.rejects(
      train(freshCheckpoint(other, size, 1), data, undefined, options(folder)),
      /^UserError: The dataset was built with a vocabulary of 320 tokens, but the model's has 300;/,
    );
    await assert.rejects(
      train(
        freshCheckpoint(tokenizer, { ...size, n_positions: 8 }, 1),
        data,
        undefined,
        options(folder),
      ),
      /^UserError: Example 1 of the dataset has \d+ tokens, but the model reads 8 at most;/,
    );
  });
});

describe('unigramPerplexity', () => {
  it('is what one counts by hand', async (context) => {
    const folder = await temporaryFolder(context);
    const bytes = new Tokenizer(trainVocabulary([], 257));
    const open = async (name: string, text: string) => {
      const corpus = join(folder, `${name}.tsv`);
      await writeFile(corpus, text);
      await buildDataset(corpus, join(folder, name), bytes);
      return Dataset.open(join(folder, name));
    };
    // Labels in training: a a b and three ends; in the other: a c and an end.
    const data = await open('train', 'x\taa\ny EOS b\tz\n');
    const held = await open('held', 'x\tac\n');
    // aa END, b END z END: seven labels, each of 257 tokens counted once more.
    const total = 257 + 7;
    const share = (3 / total) * (1 / total) * (4 / total);
    const expected = share ** (-1 / 3);
    assertClose([unigramPerplexity(data, held, 257)], [expected], 1e-12);
  });
});
