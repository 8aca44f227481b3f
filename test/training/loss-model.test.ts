import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { range, sum } from '../../src/base/arrays.js';
import { Random } from '../../src/base/random.js';
import { type Example, IGNORED_LABEL } from '../../src/dataset/index.js';
import { differentiate, Graph, reduceSum } from '../../src/graph/index.js';
import {
  gpt2Config,
  headSlices,
  noDropout,
  parameterInputs,
  Parameters,
  TOKEN_EMBEDDING,
} from '../../src/model/index.js';
import { floatsOf, Session } from '../../src/runtime/index.js';
import { LossModel, type LossModelOptions, LossSum, makeBatch } from '../../src/training/index.js';
import { ParameterTensors } from '../../src/training/loss-engine.js';
import { batchLosses, LABEL_LOSSES } from '../../src/training/loss-graph.js';
import { randomExample, toGoldenExample } from '../support/examples.js';
import { goldenJson, goldenModel, goldenParameters, goldenRow } from '../support/golden.js';
import { assertClose, relativeError } from '../support/numbers.js';

const goldenCase = z.object({
  gradients_file: z.string(),
  float64: z.object({ loss: z.number(), ppl: z.number(), row_ppl: z.array(z.number()) }),
});
const goldenSchema = z.object({
  rows: z.array(goldenRow),
  plain: goldenCase,
  token_types: goldenCase,
});

describe('LossModel', () => {
  for (const kind of ['plain', 'token_types'] as const) {
    it(`gives PyTorch's loss, perplexity and gradients, ${kind}`, async () => {
      const golden = await goldenJson(goldenSchema, 'gpt2', 'gradients.json');
      const parameters = await goldenModel('tiny');
      const { config } = parameters;
      const tokenTypes = kind === 'token_types';
      const batch = makeBatch(golden.rows.map(toGoldenExample), tokenTypes);
      const gradients = new Parameters(config);
      await using model = await LossModel.forTraining(parameters, { tokenTypes, threads: 1 });
      const losses = await model.backward(batch, 1 / batch.labels.length, gradients);

      const expected = golden[kind].float64;
      const total = new LossSum();
      total.add(batch, losses);
      assertClose([total.result.loss], [expected.loss], 1e-6, 'loss');
      assertClose([total.result.sequencePerplexity], [expected.ppl], 1e-5, 'perplexity');
      const rows = golden.rows.map((_, row) =>
        [...losses].filter((_, label) => batch.labelRows[label] === row),
      );
      assertClose(
        rows.map((row) => Math.exp(sum(row) / row.length)),
        expected.row_ppl,
        1e-5,
        'perplexities of rows',
      );

      const reference = await goldenParameters(config, 'gpt2', golden[kind].gradients_file);
      for (const parameter of gradients.layout) {
        assertClose(
          gradients.view(parameter),
          reference.view(parameter),
          1e-5,
          `gradient of ${parameter.name}`,
        );
      }

      await using evaluator = await LossModel.forEvaluation(parameters, { tokenTypes, threads: 1 });
      assertClose(await evaluator.losses(batch), losses, 1e-6, 'losses without gradients');
    });
  }

  it('adds gradients to those that are there', async () => {
    const golden = await goldenJson(goldenSchema, 'gpt2', 'gradients.json');
    const parameters = await goldenModel('tiny');
    const examples = golden.rows.map(toGoldenExample);
    const whole = makeBatch(examples);
    const scale = 1 / whole.labels.length;
    await using model = await LossModel.forTraining(parameters, { threads: 1 });
    const once = new Parameters(parameters.config);
    await model.backward(whole, scale, once);
    const parts = new Parameters(parameters.config);
    await model.backward(makeBatch(examples.slice(0, 2)), scale, parts);
    await model.backward(makeBatch(examples.slice(2)), scale, parts);
    assertClose(parts.buffer, once.buffer, 1e-6, 'two half batches');
  });

  it('gives the same for a batch in parts, but for the order of its sums', async () => {
    const config = gpt2Config({ ...tinyConfig, ...sliced });
    const parameters = Parameters.initialize(config, new Random(5));
    const random = new Random(6);
    const batch = makeBatch(
      range(0, 9).map(() => randomExample(2 + random.below(40), 5000, random)),
    );
    const of = async (options: LossModelOptions) => {
      await using model = await LossModel.forTraining(parameters, { threads: 1, ...options });
      const gradients = new Parameters(config);
      const losses = await model.backward(batch, 0.02, gradients);
      await using evaluator = await LossModel.forEvaluation(parameters, { threads: 1, ...options });
      assert.deepEqual(await evaluator.losses(batch), losses);
      return { losses, gradients };
    };
    const whole = await of({});
    for (const recompute of [false, true]) {
      for (const tokensAtOnce of [1, 30, 100]) {
        const { losses, gradients } = await of({ tokensAtOnce, recompute });
        assert.deepEqual(losses, whole.losses);
        for (const parameter of gradients.layout) {
          const expected = whole.gradients.view(parameter);
          assertClose(gradients.view(parameter), expected, 1e-6, parameter.name);
        }
      }
    }
  });

  it('takes a part without any label, which changes nothing', async () => {
    const config = gpt2Config({ ...tinyConfig, ...sliced });
    const parameters = Parameters.initialize(config, new Random(5));
    const random = new Random(6);
    const labelled = range(0, 3).map(() => randomExample(20, 5000, random));
    const silent = range(0, 3).map(() => {
      const example = randomExample(20, 5000, random);
      return { ...example, labels: example.labels.map(() => IGNORED_LABEL) };
    });
    await using model = await LossModel.forTraining(parameters, { threads: 1, tokensAtOnce: 30 });
    const of = async (examples: readonly Example[]) => {
      const gradients = new Parameters(config);
      const losses = await model.backward(makeBatch(examples), 0.02, gradients);
      return { losses, gradients: gradients.buffer };
    };
    const expected = await of(labelled);
    assert.deepEqual(await of([...silent, ...labelled]), expected);
    assert.deepEqual(await of([...labelled, ...silent]), expected);
    const total = new LossSum();
    total.add(makeBatch([...silent, ...labelled]), expected.losses);
    const alone = new LossSum();
    alone.add(makeBatch(labelled), expected.losses);
    assert.deepEqual(total.result, alone.result);
    assert.deepEqual(await of(silent), {
      losses: new Float32Array(0),
      gradients: new Parameters(config).buffer,
    });
  });

  it('takes the head in slices as it takes it whole', async () => {
    const config = gpt2Config({ ...tinyConfig, ...sliced });
    assert.ok(headSlices(config).length > 1);
    const parameters = Parameters.initialize(config, new Random(7));
    const batch = makeBatch([randomExample(40, 5000, new Random(8))]);
    const graph = new Graph();
    const parameter = parameterInputs(graph, config);
    const loss = batchLosses(graph, config, parameter, { tokenTypes: false, drop: noDropout });
    const [gradient] = differentiate(reduceSum(loss), [parameter(TOKEN_EMBEDDING)], {
      dense: true,
    });
    graph.output('gradient', gradient?.dense ?? loss);
    await using session = await Session.create(graph, { threads: 1 });
    const feeds = { ...new ParameterTensors(parameters).all, ...batch.feeds };
    const whole = await session.run(feeds, { [LABEL_LOSSES]: null, gradient: null });

    await using model = await LossModel.forTraining(parameters, { threads: 1 });
    const gradients = new Parameters(config);
    const losses = await model.backward(batch, 1, gradients);
    assertClose(losses, floatsOf(whole[LABEL_LOSSES]), 1e-6, 'losses');
    const [embedding] = gradients.layout;
    assert.ok(embedding?.name === TOKEN_EMBEDDING);
    assertClose(gradients.view(embedding), floatsOf(whole.gradient), 1e-6, 'gradient');
  });

  it('leaves the weights as they are', async () => {
    const parameters = await goldenModel('tiny');
    const before = parameters.buffer.slice();
    const batch = makeBatch([randomExample(9, 200, new Random(1))]);
    await using model = await LossModel.forTraining(parameters, { threads: 1 });
    await model.backward(batch, 1, new Parameters(parameters.config));
    assert.deepEqual(parameters.buffer, before);
  });

  it('drops out in training only, differently at each run, repeatably from a seed', async () => {
    const config = gpt2Config({
      ...tinyConfig,
      resid_pdrop: 0.2,
      embd_pdrop: 0.2,
      attn_pdrop: 0.2,
    });
    const parameters = Parameters.initialize(config, new Random(3));
    const batch = makeBatch([randomExample(20, 90, new Random(2))]);
    const runs = async (seed: number) => {
      await using model = await LossModel.forTraining(parameters, { seed, threads: 1 });
      const first = await model.backward(batch, 1, new Parameters(config));
      const second = await model.backward(batch, 1, new Parameters(config));
      return [first, second] as const;
    };
    const [first, second] = await runs(1);
    assert.notDeepEqual(first, second);
    assert.deepEqual(await runs(1), [first, second]);
    assert.notDeepEqual((await runs(2))[0], first);
    await using evaluator = await LossModel.forEvaluation(parameters, { threads: 1 });
    assert.deepEqual(await evaluator.losses(batch), await evaluator.losses(batch));
  });
});

/** A vocabulary that the head takes in slices, and no dropout. */
const sliced = {
  ...{ vocab_size: 5000, initializer_range: 0.2 },
  ...{ embd_pdrop: 0, attn_pdrop: 0, resid_pdrop: 0 },
};

const tinyConfig = { vocab_size: 97, n_positions: 64, n_embd: 32, n_layer: 2, n_head: 4 };

describe('a batch of rows of different lengths', () => {
  it('gives what each row gives alone, bit for bit', async (context) => {
    const parameters = Parameters.initialize(
      gpt2Config({ ...tinyConfig, n_positions: 150, initializer_range: 0.3 }),
      new Random(8),
    );
    const random = new Random(9);
    await using model = await LossModel.forEvaluation(parameters, { threads: 1 });
    let single = 0;
    for (let trial = 0; trial < 40; trial++) {
      const examples = range(0, 1 + random.below(6)).map(() =>
        randomExample(2 + random.below(trial % 2 === 0 ? 60 : 140), 97, random),
      );
      const together = await model.losses(makeBatch(examples));
      let place = 0;
      for (const example of examples) {
        const alone = await model.losses(makeBatch([example]));
        const part = together.subarray(place, (place += alone.length));
        if (alone.length > 1) assert.deepEqual(part, alone);
        else single = Math.max(single, relativeError(part, alone));
      }
      assert.equal(place, together.length);
    }
    // ONNX Runtime multiplies a single vector by a matrix in another order than several, so a row
    // with one label differs in its last digit between alone and in company.
    context.diagnostic(`rows of a single label differ by ${single} at most`);
    assert.ok(single <= 1e-6);
  });

  it('is not seen by padding: what stands beside a row does not matter', async () => {
    const parameters = await goldenModel('tiny');
    const random = new Random(10);
    const row = randomExample(11, 211, random);
    await using model = await LossModel.forEvaluation(parameters, { threads: 1 });
    const beside = async (seed: number) => {
      const other = randomExample(40, 211, new Random(seed));
      const losses = await model.losses(makeBatch([row, other]));
      return losses.slice(0, row.labels.filter((label) => label >= 0).length);
    };
    assert.deepEqual(await beside(1), await beside(2));
  });
});
