import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sum } from '../../src/base/arrays.js';
import { Random } from '../../src/base/random.js';
import { openSafetensors } from '../../src/checkpoint/index.js';
import { gpt2Config, Parameters } from '../../src/model/index.js';
import { golden } from '../support/files.js';
import { goldenModel } from '../support/golden.js';

const config = gpt2Config({ vocab_size: 400, n_positions: 40, n_embd: 64, n_layer: 3, n_head: 4 });

describe('Parameters', () => {
  it('lie end to end in one buffer, without gaps', () => {
    const parameters = new Parameters(config);
    let next = 0;
    for (const parameter of parameters.layout) {
      assert.equal(parameter.offset, next);
      const view = parameters.view(parameter);
      assert.equal(view.buffer, parameters.buffer.buffer);
      assert.equal(view.length, parameter.length);
      next += parameter.length;
    }
    assert.equal(next, parameters.buffer.length);
    assert.ok(parameters.buffer.every((value) => value === 0));
  });

  it("have Hugging Face's names and shapes", async () => {
    const { layout } = await goldenModel('tiny');
    const sources = await openSafetensors(golden('gpt2', 'tiny', 'model.safetensors'));
    assert.deepEqual(layout.map(({ name }) => name).sort(), [...sources.keys()].sort());
    for (const { name, shape } of layout) assert.deepEqual(sources.get(name)?.shape, shape, name);
  });

  it('are drawn as Hugging Face draws them', () => {
    const parameters = Parameters.initialize(config, new Random(5));
    for (const parameter of parameters.layout) {
      const values = parameters.view(parameter);
      const { name, length } = parameter;
      if (name.endsWith('.bias'))
        assert.ok(
          values.every((value) => value === 0),
          name,
        );
      else if (name.includes('.ln_'))
        assert.ok(
          values.every((value) => value === 1),
          name,
        );
      else {
        const expected = name.endsWith('c_proj.weight') ? 0.02 / Math.sqrt(6) : 0.02;
        const mean = sum(values) / length;
        const deviation = Math.sqrt(sum(values.map((value) => value * value)) / length);
        // Four standard errors of each.
        assert.ok(Math.abs(mean) < (4 * expected) / Math.sqrt(length), `${name}: ${mean}`);
        const error = Math.abs(deviation / expected - 1);
        assert.ok(error < 4 / Math.sqrt(2 * length), `${name}: ${deviation}`);
      }
    }
  });

  it('are the same for the same seed and others for another', () => {
    const draw = (seed: number) => Parameters.initialize(config, new Random(seed)).buffer;
    assert.deepEqual(draw(1), draw(1));
    assert.notDeepEqual(draw(1), draw(2));
  });
});
