import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { z } from 'zod';
import { UserError } from '../../src/base/errors.js';
import { range } from '../../src/base/arrays.js';
import { freshCheckpoint, loadRanker, openSafetensors } from '../../src/checkpoint/index.js';
import { Parameters } from '../../src/model/index.js';
import { Tokenizer, trainVocabulary } from '../../src/tokenizer/index.js';
import {
  rankerFromLanguageModel,
  RankingModel,
  type RankingPair,
  readRankingPairs,
  trainRanker,
  type TrainPairsOptions,
  withGaps,
} from '../../src/training/index.js';
import { golden, temporaryFolder } from '../support/files.js';
import { goldenJson, goldenModel } from '../support/golden.js';
import { assertClose } from '../support/numbers.js';

const ids = z.array(z.number());
const reference = await goldenJson(
  z.object({
    head: ids,
    pairs: z.array(z.object({ better: ids, worse: ids })),
    losses: ids,
    steps: z.object({ losses: ids, norms: ids, head: ids }),
  }),
  'ranking',
  'pairs.json',
);
const pairs: RankingPair[] = reference.pairs.map((pair) => ({
  ...pair,
  start: 1,
  gaps: undefined,
}));

async function goldenRanker() {
  const parameters = await goldenModel('tiny-trained');
  return { parameters, score: Float32Array.from(reference.head) };
}

describe('the pairwise loss equals that of PyTorch', () => {
  it('with and without gradients', async () => {
    const weights = await goldenRanker();
    await using evaluator = await RankingModel.create(weights, false, { threads: 1 });
    assertClose(await evaluator.losses(pairs), reference.losses, 1e-5);
    await using model = await RankingModel.create(weights, true, { threads: 1 });
    const gradients = {
      parameters: new Parameters(weights.parameters.config),
      score: new Float32Array(weights.score.length),
    };
    // Two parts add up to the gradient of the whole batch.
    const scale = 1 / pairs.length;
    const first = await model.backward(pairs.slice(0, 2), scale, gradients);
    const second = await model.backward(pairs.slice(2), scale, gradients);
    assertClose([...first, ...second], reference.losses, 1e-5);
    const expected = await openSafetensors(golden('ranking', 'pair-gradients.safetensors'));
    for (const parameter of gradients.parameters.layout) {
      const values = new Float32Array(parameter.length);
      await expected.get(parameter.name)?.readInto(values);
      const found = gradients.parameters.view(parameter);
      if (parameter.name === 'transformer.ln_f.bias') {
        // It moves both scores alike, so that the loss does not depend on it.
        assert.ok(found.every((value) => Math.abs(value) < 1e-6));
      } else {
        assertClose(found, values, 2e-4, parameter.name);
      }
    }
    const head = new Float32Array(weights.score.length);
    await expected.get('score.weight')?.readInto(head);
    assertClose(gradients.score, head, 2e-5, 'score.weight');
  });

  it('over steps of its Adam', async (context) => {
    const weights = await goldenRanker();
    const tokenizer = new Tokenizer(trainVocabulary([], 257));
    const losses: number[] = [];
    const norms: number[] = [];
    const options = { batchSize: pairs.length, learningRate: 1e-3, steps: 6, threads: 1 };
    await trainRanker({ ...weights, tokenizer }, pairs, [], {
      ...options,
      outputDir: await temporaryFolder(context),
      onStep: ({ loss, gradientNorm }) => {
        losses.push(loss);
        norms.push(gradientNorm);
      },
    });
    assertClose(losses, reference.steps.losses, 1e-4);
    assertClose(norms, reference.steps.norms, 1e-3);
    assertClose(weights.score, reference.steps.head, 1e-4);
  });
});

const tokenizer = new Tokenizer(trainVocabulary([], 257));
const END = tokenizer.endOfText;

async function fileOf(context: TestContext, ...lines: string[]): Promise<string> {
  const path = join(await temporaryFolder(context), 'pairs.tsv');
  await writeFile(path, `${lines.join('\n')}\n`);
  return path;
}

describe('readRankingPairs', () => {
  const options = { tokenizer, maxSequenceLength: 50 };
  const sequence = (...turns: string[]) =>
    turns.flatMap((turn, index) => [...(index === 0 ? [] : [END]), ...tokenizer.encode(turn)]);

  it('reads text of three columns', async (context) => {
    const path = await fileOf(context, '# a comment', 'a EOS b<|endoftext|>c\tgood\tbad');
    assert.deepEqual(await readRankingPairs(path, options), [
      {
        better: sequence('a', 'b', 'c', 'good'),
        worse: sequence('a', 'b', 'c', 'bad'),
        start: 6,
        gaps: undefined,
      },
    ]);
  });

  it("reads DialogRPT's columns, as text and as token ids", async (context) => {
    const scores = '0.5\t30\t4\t0.9\t0.2';
    const text = await fileOf(context, `a\tgood\tbad\tx\ty\tz\t${scores}`);
    const [pair] = await readRankingPairs(text, options);
    assert.equal(pair?.gaps?.score, 26);
    assert.ok(Math.abs(pair.gaps.rank - 0.7) < 1e-9);
    assert.equal(pair.gaps.hours, 0.5);
    const asIds = ['a', 'good', 'bad'].map((word) => tokenizer.encode(word).join(' '));
    const idPath = await fileOf(context, `${asIds.join('\t')}\t${scores}`);
    assert.deepEqual(await readRankingPairs(idPath, options), [pair]);
    const strange = await fileOf(context, `1 2\t3\t999\t${scores}`);
    await assert.rejects(readRankingPairs(strange, options), UserError);
  });

  it('cuts the same tokens of the context from both', async (context) => {
    const path = await fileOf(context, 'abcdef\tgood\tbadder');
    const [pair] = await readRankingPairs(path, { tokenizer, maxSequenceLength: 9 });
    assert.deepEqual(pair?.better, sequence('ef', 'good'));
    assert.deepEqual(pair.worse, sequence('ef', 'badder'));
    assert.equal(pair.start, 3);
  });

  it('leaves out pairs too far apart in time, and validation pairs too alike', async (context) => {
    const row = (hours: number | string, score: number) =>
      `a\tb\tc\t${hours}\t${score}\t0\t0.9\t0.1`;
    const path = await fileOf(context, row(2, 9), row('nan', 9), row(0.1, 1));
    const read = await readRankingPairs(path, { ...options, maxHoursGap: 1 });
    assert.deepEqual(
      read.map(({ gaps }) => gaps?.score),
      [9, 1],
    );
    assert.equal(withGaps(read, { score: 5 }).length, 1);
    assert.equal(withGaps(read, { rank: 0.81 }).length, 0);
  });

  it("takes another context's response with mismatch", async (context) => {
    const path = await fileOf(context, ...range(0, 4).map((row) => `c${row}\tr${row}\tx`));
    const read = await readRankingPairs(path, { ...options, mismatch: true });
    assert.deepEqual(
      read.map(({ worse }) => tokenizer.decode(worse.slice(-2))),
      ['r2', 'r3', 'r0', 'r1'],
    );
  });

  it('names the line that cannot be read', async (context) => {
    const path = await fileOf(context, 'a\tb\tc', 'a\tb');
    await assert.rejects(readRankingPairs(path, options), {
      name: 'UserError',
      message: `${path}:2: expected context, better and worse response, or DialogRPT's columns; found 2 columns.`,
    });
  });
});

describe('trainRanker', () => {
  it('learns what people like, and saves the best as a ranker', async (context) => {
    const config = { n_positions: 32, n_embd: 16, n_layer: 1, n_head: 2, vocab_size: 257 };
    const checkpoint = rankerFromLanguageModel(freshCheckpoint(tokenizer, config, 5));
    assert.deepEqual(
      [...checkpoint.score],
      [...checkpoint.parameters.buffer.slice(END * 16, END * 16 + 16)],
    );
    const words = ['one', 'two', 'three', 'four', 'five', 'six'];
    const sequence = (word: string, response: string) => [
      ...tokenizer.encode(word),
      END,
      ...tokenizer.encode(response),
    ];
    const all = words.flatMap((word) =>
      words.map((other) => ({
        better: sequence(word, `${other}!`),
        worse: sequence(word, `${other}.`),
        start: 1,
        gaps: undefined,
      })),
    );
    const outputDir = await temporaryFolder(context);
    const reports: number[] = [];
    const result = await trainRanker(checkpoint, all.slice(6), all.slice(0, 6), {
      outputDir,
      steps: 30,
      validStep: 10,
      batchSize: 12,
      learningRate: 3e-3,
      threads: 1,
      onValidation: ({ step }) => reports.push(step),
    });
    assert.deepEqual(reports, [0, 10, 20, 30]);
    assert.equal(result.best?.accuracy, 1);
    const saved = await loadRanker(outputDir);
    assert.equal(saved.score.length, 16);
    assert.equal(saved.parameters.config.n_layer, 1);
  });

  describe('goes on where it was interrupted', () => {
    const config = { n_positions: 32, n_embd: 16, n_layer: 1, n_head: 2, vocab_size: 257 };
    const all = range(0, 23).map((number) => ({
      better: [number, END, number + 1],
      worse: [number, END, number + 30, number + 2],
      start: 1,
      gaps: undefined,
    }));
    const common = { steps: 9, validStep: 4, batchSize: 5, learningRate: 3e-3, threads: 1 };
    const fresh = () => rankerFromLanguageModel(freshCheckpoint(tokenizer, config, 5));
    const go = (outputDir: string, more: Partial<TrainPairsOptions> = {}) =>
      trainRanker(fresh(), all.slice(3), all.slice(0, 3), { outputDir, ...common, ...more });
    const weightsOf = async (out: string) => {
      const { parameters, score } = await loadRanker(join(out, 'checkpoint-9'));
      return [...parameters.buffer, ...score];
    };

    for (const stops of [[1], [4], [2, 3, 7], [8]]) {
      it(`after ${stops.join(', ')} steps, bit for bit`, async (context) => {
        const whole = join(await temporaryFolder(context), 'whole');
        const losses: number[] = [];
        const expected = await go(whole, { onStep: ({ loss }) => losses.push(loss) });
        const out = join(await temporaryFolder(context), 'parts');
        const found: number[] = [];
        for (const stop of [...stops, 100]) {
          const controller = new AbortController();
          const result = await go(out, {
            resume: true,
            signal: controller.signal,
            onStep: ({ step, loss }) => {
              found.push(loss);
              if (step === stop) controller.abort();
            },
          });
          assert.equal(result.interrupted, stop < 9);
          if (stop >= 9) assert.deepEqual(result, expected);
        }
        assert.deepEqual(found, losses);
        assert.deepEqual(await weightsOf(out), await weightsOf(whole));
        const [best, whatItIs] = [await loadRanker(whole), await loadRanker(out)];
        assert.deepEqual(whatItIs.parameters.buffer, best.parameters.buffer);
      });
    }

    it('and says where it cannot', async (context) => {
      const out = await temporaryFolder(context);
      await go(out, { steps: 4 });
      await assert.rejects(go(out), /it holds a run already; go on with --resume/);
      await assert.rejects(go(out, { resume: true, seed: 7 }), /--seed cannot change within a run/);
      await assert.rejects(
        trainRanker(fresh(), all, all.slice(0, 3), { outputDir: out, ...common, resume: true }),
        /the pairs of --data and --validation-data cannot change within a run/,
      );
      const notices: string[] = [];
      await go(out, {
        steps: 5,
        learningRate: 1e-3,
        resume: true,
        onNotice: (sentence) => notices.push(sentence),
      });
      assert.match(notices.join('; '), /--lr changes from 0.003 to 0.001/);
      const moments = join(out, 'checkpoint-5', 'training', 'optimizer.safetensors');
      const bytes = await readFile(moments);
      bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
      await writeFile(moments, bytes);
      await assert.rejects(go(out, { resume: true }), /none of its 1 checkpoints can be read/);
    });
  });

  it('refuses what it cannot train on', async (context) => {
    const weights = await goldenRanker();
    const outputDir = await temporaryFolder(context);
    const options = { outputDir, steps: 1 };
    await assert.rejects(trainRanker({ ...weights, tokenizer }, [], [], options), UserError);
    const long = { better: range(0, 49), worse: [1], start: 1, gaps: undefined };
    await assert.rejects(
      trainRanker({ ...weights, tokenizer }, [long], [], options),
      /A sequence has 49 tokens, but the model reads 48 at most/,
    );
  });
});
