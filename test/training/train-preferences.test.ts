import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { at, range } from '../../src/base/arrays.js';
import { UserError } from '../../src/base/errors.js';
import {
  type Checkpoint,
  freshCheckpoint,
  loadCheckpoint,
  openSafetensors,
} from '../../src/checkpoint/index.js';
import { Parameters } from '../../src/model/index.js';
import { Tokenizer, trainVocabulary } from '../../src/tokenizer/index.js';
import {
  pairsOfJudged,
  PreferenceModel,
  type RankingPair,
  referenceLosses,
  trainPreferences,
  type TrainPreferencesOptions,
} from '../../src/training/index.js';
import { golden, temporaryFolder } from '../support/files.js';
import { goldenJson, goldenModel } from '../support/golden.js';
import { assertClose } from '../support/numbers.js';

const ids = z.array(z.number());
const reference = await goldenJson(
  z.object({
    beta: z.number(),
    rpoAlpha: z.number(),
    learningRate: z.number(),
    pairs: z.array(z.object({ better: ids, worse: ids, start: z.number() })),
    responses: z.array(ids),
    losses: ids,
    steps: z.object({ losses: ids, norms: ids }),
  }),
  'preferences',
  'pairs.json',
);
const pairs: RankingPair[] = reference.pairs.map((pair) => ({ ...pair, gaps: undefined }));
const tokenizer = new Tokenizer(trainVocabulary([], 257));
const END = tokenizer.endOfText;

describe('direct preference optimization equals that of PyTorch', () => {
  it('in losses of responses, of pairs, and in gradients', async () => {
    const parameters = await goldenModel('tiny-trained');
    const { beta, rpoAlpha } = reference;
    const { vocab_size } = parameters.config;
    const common = { beta, rpoAlpha, endOfText: vocab_size - 1, seed: 1, draws: 0, threads: 1 };
    const modelOf = (gradients: boolean, known = new Map<RankingPair, [number, number]>()) =>
      PreferenceModel.create(parameters, gradients, { ...common, reference: known });
    await using before = await modelOf(false);
    const known = new Map(
      Array.from((await referenceLosses(before, pairs)) ?? [], ([pair, [better, worse]]) => [
        pair,
        [better, worse] satisfies [number, number],
      ]),
    );
    assertClose([...known.values()].flat(), reference.responses.flat(), 1e-4);

    for (const [index, parameter] of parameters.layout.entries()) {
      const view = parameters.view(parameter);
      const factor = 1 + 0.02 * Math.sin(index + 1);
      for (const [place, value] of view.entries()) view[place] = value * factor;
    }
    await using evaluator = await modelOf(false, known);
    assertClose(await evaluator.losses(pairs), reference.losses, 1e-4);
    await using model = await modelOf(true, known);
    const gradients = { parameters: new Parameters(parameters.config) };
    // Two parts add up to the gradient of the whole batch.
    const scale = 1 / pairs.length;
    const first = await model.backward(pairs.slice(0, 2), scale, gradients);
    const second = await model.backward(pairs.slice(2), scale, gradients);
    assertClose([...first, ...second], reference.losses, 1e-4);
    const expected = await openSafetensors(golden('preferences', 'gradients.safetensors'));
    for (const parameter of gradients.parameters.layout) {
      const values = new Float32Array(parameter.length);
      await expected.get(parameter.name)?.readInto(values);
      assertClose(gradients.parameters.view(parameter), values, 2e-4, parameter.name);
    }
  });

  it('over steps of its Adam', async (context) => {
    const parameters = await goldenModel('tiny-trained');
    const losses: number[] = [];
    const norms: number[] = [];
    const { beta, rpoAlpha, learningRate } = reference;
    const ownTokenizer = new Tokenizer(trainVocabulary([], 257));
    Object.defineProperty(ownTokenizer, 'endOfText', { value: parameters.config.vocab_size - 1 });
    await trainPreferences({ parameters, tokenizer: ownTokenizer }, pairs, [], {
      ...{ beta, rpoAlpha, learningRate },
      batchSize: pairs.length,
      steps: reference.steps.losses.length,
      threads: 1,
      outputDir: await temporaryFolder(context),
      onStep: ({ loss, gradientNorm }) => {
        losses.push(loss);
        norms.push(gradientNorm);
      },
    });
    assertClose(losses, reference.steps.losses, 2e-4);
    assertClose(norms, reference.steps.norms, 2e-3);
  });
});

const config = { n_positions: 32, n_embd: 16, n_layer: 1, n_head: 2, vocab_size: 257 };
const words = ['one', 'two', 'three', 'four', 'five', 'six'];
const judged = words.flatMap((word) =>
  words.flatMap((other) => [
    { history: [word], response: `${other}!`, good: true },
    { history: [word], response: `${other}.`, good: false },
  ]),
);
const made = { tokenizer, maxSequenceLength: 32, seed: 3 };

describe('pairsOfJudged', () => {
  it('pairs good with bad responses of the same history, each once', () => {
    const [own, other] = pairsOfJudged(judged.slice(0, 4), { ...made, pairsPerContext: 9 }).map(
      ({ better, worse, start }) =>
        [better, worse].map((sequence) => tokenizer.decode(sequence.slice(start))),
    );
    assert.ok(own !== undefined && other !== undefined);
    const all = pairsOfJudged(judged, { ...made, pairsPerContext: 99 });
    assert.equal(all.length, 6 * 36);
    const texts = all.map(({ better, worse }) => `${better.join()} ${worse.join()}`);
    assert.equal(new Set(texts).size, all.length);
    for (const { better, worse, start } of all) {
      assert.equal(better[start - 1], END);
      assert.deepEqual(better.slice(0, start), worse.slice(0, start));
      assert.ok(tokenizer.decode(better).endsWith('!') && tokenizer.decode(worse).endsWith('.'));
    }
  });

  it('takes so many of a history, and the same ones again', () => {
    const few = pairsOfJudged(judged, { ...made, pairsPerContext: 2 });
    assert.equal(few.length, 12);
    assert.deepEqual(few, pairsOfJudged(judged, { ...made, pairsPerContext: 2 }));
    assert.deepEqual(pairsOfJudged(judged.slice(0, 1), { ...made, pairsPerContext: 2 }), []);
  });
});

describe('trainPreferences', () => {
  const all = pairsOfJudged(judged, { ...made, pairsPerContext: 6 });
  const common = { steps: 12, validStep: 4, batchSize: 8, learningRate: 3e-3, threads: 1 };
  const go = (outputDir: string, more: Partial<TrainPreferencesOptions> = {}) =>
    trainPreferences(freshCheckpoint(tokenizer, config, 5), all.slice(6), all.slice(0, 6), {
      ...{ outputDir, ...common },
      ...more,
    });

  it('learns what is preferred, and saves the best as a model', async (context) => {
    const outputDir = await temporaryFolder(context);
    const validations: { loss: number; accuracy: number }[] = [];
    const { best } = await go(outputDir, {
      steps: 40,
      onValidation: (report) => {
        validations.push(report);
      },
    });
    assert.ok(Math.abs(at(validations, 0).loss - Math.LN2) < 1e-5, 'nothing is ahead at first');
    assert.ok(best?.accuracy === 1 && best.loss < 0.6);
    const gaps = async ({ parameters }: Checkpoint) => {
      await using model = await PreferenceModel.create(parameters, false, {
        ...{ beta: 0.1, rpoAlpha: 0, endOfText: END, seed: 0, draws: 0, threads: 1 },
        reference: new Map(),
      });
      const losses = await model.responseLosses(all.slice(0, 6));
      return range(0, 5).map((index) => at(losses, 2 * index + 1) - at(losses, 2 * index));
    };
    const before = await gaps(freshCheckpoint(tokenizer, config, 5));
    const after = await gaps(await loadCheckpoint(outputDir));
    for (const [index, gap] of after.entries()) assert.ok(gap > at(before, index) + 1);
  });

  it('goes on bit for bit where it was interrupted', async (context) => {
    const [whole, parts] = [await temporaryFolder(context), await temporaryFolder(context)];
    await go(whole);
    const early = await go(parts, { signal: AbortSignal.abort() });
    assert.deepEqual([early.steps, early.interrupted], [0, true]);
    const stop = new AbortController();
    const first = await go(parts, {
      signal: stop.signal,
      onStep: ({ step }) => {
        if (step === 6) stop.abort();
      },
    });
    assert.deepEqual([first.steps, first.interrupted], [6, true]);
    const onReference = () => assert.fail('what is wrong is said before anything is measured');
    await assert.rejects(go(parts, { onReference }), /it holds a run already/);
    const again = await go(parts, { resume: true, signal: AbortSignal.abort() });
    assert.deepEqual([again.steps, again.interrupted], [6, true]);
    await assert.rejects(
      go(parts, { resume: true, beta: 0.2, onReference }),
      /^UserError: --beta cannot change/,
    );
    await assert.rejects(
      go(parts, { resume: true, steps: 13, onReference }),
      /^UserError: --steps cannot change/,
    );
    assert.equal((await go(parts, { resume: true })).interrupted, false);
    const [one, other] = [whole, parts].map((out) => loadCheckpoint(join(out, 'checkpoint-12')));
    assert.deepEqual((await one)?.parameters.buffer, (await other)?.parameters.buffer);
  });

  it('says what cannot be trained on', async (context) => {
    const outputDir = await temporaryFolder(context);
    const checkpoint = freshCheckpoint(tokenizer, config, 5);
    const options = { outputDir, steps: 1 };
    await assert.rejects(trainPreferences(checkpoint, [], [], options), UserError);
  });
});
