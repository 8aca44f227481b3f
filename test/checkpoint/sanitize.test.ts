import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { UserError } from '../../src/base/errors.js';
import { sanitize, standardName } from '../../src/checkpoint/sanitize.js';
import { elementCount, type TensorSource } from '../../src/checkpoint/tensor-source.js';
import { parameterShapes, gpt2Config } from '../../src/model/index.js';

const config = gpt2Config({ vocab_size: 5, n_positions: 3, n_embd: 2, n_layer: 1, n_head: 1 });
const shapes = parameterShapes(config);

/** A tensor in memory, all elements `value`. */
function filled(shape: readonly number[], value: number): TensorSource {
  const readInto = (target: Float32Array): Promise<void> => {
    target.fill(value);
    return Promise.resolve();
  };
  return { origin: 'test', dtype: 'F32', shape, readInto };
}

/** The model's own tensors under names that `rename` makes of the standard ones. */
function model(rename: (name: string) => string = (name) => name): Map<string, TensorSource> {
  return new Map(Array.from(shapes, ([name, shape]) => [rename(name), filled(shape, 1)]));
}

function refuses(
  tensors: Map<string, TensorSource>,
  words: RegExp,
  expected: ReadonlyMap<string, readonly number[]> = shapes,
): Promise<void> {
  return assert.rejects(sanitize(tensors, expected, 'm.bin'), (error) => {
    assert.ok(error instanceof UserError);
    assert.match(error.message, words);
    return true;
  });
}

describe('sanitize', () => {
  it('knows the names in the wild', () => {
    const weight = 'transformer.h.3.attn.c_attn.weight';
    for (const name of [
      weight,
      'h.3.attn.c_attn.weight',
      'module.transformer.h.3.attn.c_attn.weight',
      'module.h.3.attn.c_attn.weight',
      '_orig_mod.module.h.3.attn.c_attn.weight',
      'model.transformer.h.3.attn.c_attn.weight',
      'model._orig_mod.h.3.attn.c_attn.weight',
      'h.3.attn.c_attn.w',
    ]) {
      assert.equal(standardName(name), weight);
    }
    assert.equal(standardName('h.3.ln_1.g'), 'transformer.h.3.ln_1.weight');
    assert.equal(standardName('h.3.attn.c_attn.b'), 'transformer.h.3.attn.c_attn.bias');
    assert.equal(standardName('lm_head.decoder.weight'), 'lm_head.weight');
    assert.equal(standardName('module.score.weight'), 'score.weight');
    assert.equal(standardName('transformer.h.0.attn.bias'), undefined);
    assert.equal(standardName('h.11.attn.masked_bias'), undefined);
  });

  it('gives exactly the expected tensors, in their order', async () => {
    const tensors = new Map([...model((name) => `module.${name}`)].reverse());
    tensors.set('module.transformer.h.0.attn.bias', filled([1, 1, 3, 3], 0));
    tensors.set('module.lm_head.decoder.weight', filled([5, 2], 1));
    const sanitized = await sanitize(tensors, shapes, 'm.bin');
    assert.deepEqual([...sanitized.keys()], [...shapes.keys()]);
    for (const [name, source] of sanitized) {
      assert.equal(elementCount(source.shape), elementCount(shapes.get(name) ?? []));
    }
  });

  it('takes the dimension of size 1 that OpenAI wrote in front', async () => {
    const tensors = model();
    tensors.set('transformer.h.0.attn.c_attn.weight', filled([1, 2, 6], 1));
    assert.equal((await sanitize(tensors, shapes, 'm.bin')).size, shapes.size);
  });

  it('refuses a head that is not the token embedding', async () => {
    await refuses(model().set('lm_head.weight', filled([5, 2], 2)), /head .* differs/);
    await refuses(model().set('lm_head.weight', filled([4, 2], 1)), /head .* differs/);
  });

  it('lists what is missing and what is unexpected', async () => {
    const tensors = model();
    tensors.delete('transformer.h.0.ln_1.bias');
    tensors.delete('transformer.ln_f.weight');
    tensors.set('transformer.h.1.ln_1.bias', filled([2], 1));
    await refuses(
      tensors,
      /missing 2: transformer\.h\.0\.ln_1\.bias, transformer\.ln_f\.weight; unexpected 1: transformer\.h\.1\.ln_1\.bias\. Check/,
    );
    await refuses(model().set('score.weight', filled([1, 2], 1)), /This is a ranking model/);
    await refuses(
      model(),
      /This is a language model/,
      new Map([...shapes, ['score.weight', [1, 2]]]),
    );
    await refuses(new Map(), /missing 16: .* and 10 more\. Check/);
  });

  it('refuses other shapes and two tensors for one', async () => {
    await refuses(
      model().set('transformer.wpe.weight', filled([4, 2], 1)),
      /transformer\.wpe\.weight is \[4, 2\] instead of \[3, 2\]; use the config\.json/,
    );
    await refuses(
      model().set('wpe.weight', filled([3, 2], 1)),
      /two tensors stand for "transformer\.wpe/,
    );
  });
});
