import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { at, range } from '../../src/base/arrays.js';
import { Random } from '../../src/base/random.js';
import { gpt2Config, Parameters } from '../../src/model/index.js';
import {
  type Batch,
  LossModel,
  type LossModelOptions,
  makeBatch,
} from '../../src/training/index.js';
import { LayeredEngine } from '../../src/training/layered-engine.js';
import { randomExample } from '../support/examples.js';
import { assertClose } from '../support/numbers.js';
import { fc } from '../support/properties.js';

const tiny = { vocab_size: 97, n_positions: 64, n_embd: 32, n_layer: 3, n_head: 4 };

async function gradientsOf(
  parameters: Parameters,
  batches: readonly Batch[],
  options: LossModelOptions,
) {
  const gradients = new Parameters(parameters.config);
  const losses: Float32Array[] = [];
  await using model = await LossModel.forTraining(parameters, { threads: 1, ...options });
  for (const batch of batches) losses.push(await model.backward(batch, 0.01, gradients));
  return { losses, gradients };
}

describe('recomputing layers', () => {
  for (const tokenTypes of [false, true]) {
    it(`gives the same losses and gradients bit for bit, dropout included${tokenTypes ? ', with token types' : ''}`, async () => {
      const parameters = Parameters.initialize(
        gpt2Config({ ...tiny, initializer_range: 0.2 }),
        new Random(5),
      );
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.integer({ min: 2, max: 60 }), { minLength: 1, maxLength: 5 }),
          fc.nat(1000),
          async (lengths, seed) => {
            const random = new Random(seed);
            const examples = lengths.map((length) => randomExample(length, 97, random));
            // Twice, and the second time shorter: what the first left behind must not be seen.
            const batches = [examples, examples.slice(0, 1)].map((rows) =>
              makeBatch(rows, tokenTypes),
            );
            const whole = await gradientsOf(parameters, batches, { tokenTypes });
            const again = await gradientsOf(parameters, batches, { tokenTypes, recompute: true });
            assert.deepEqual(again.losses, whole.losses);
            assert.deepEqual(again.gradients.buffer, whole.gradients.buffer);
          },
        ),
        { numRuns: 8 },
      );
    });
  }

  it('gives the same with the head in parts, but for the order of its sums', async () => {
    const parameters = Parameters.initialize(
      gpt2Config({ ...tiny, initializer_range: 0.2 }),
      new Random(6),
    );
    const random = new Random(7);
    const batch = makeBatch(range(0, 4).map(() => randomExample(50, 97, random)));
    const whole = await gradientsOf(parameters, [batch], {});
    for (const headRows of [2, 7, batch.labels.length - 1]) {
      await using engine = await LayeredEngine.create(parameters, { threads: 1, headRows });
      const gradients = new Parameters(parameters.config);
      assert.deepEqual(
        await engine.backward(batch, 0.01, gradients, { draw: 0 }),
        at(whole.losses, 0),
      );
      for (const parameter of gradients.layout) {
        const expected = whole.gradients.view(parameter);
        assertClose(gradients.view(parameter), expected, 1e-6, parameter.name);
      }
    }
  });
});
