import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, it } from 'node:test';
import { UserError } from '../../src/base/errors.js';
import { readJson } from '../../src/base/files.js';
import { gpt2Config, innerWidth, parameterCount, PUBLISHED_SIZES } from '../../src/model/index.js';
import { golden, sharedData } from '../support/files.js';

describe('gpt2Config', () => {
  it('is GPT-2 small where nothing is said', () => {
    const config = gpt2Config();
    assert.deepEqual(
      [config.vocab_size, config.n_positions, config.n_embd, config.n_layer, config.n_head],
      [50257, 1024, 768, 12, 12],
    );
    assert.equal(config.n_inner, null);
    assert.equal(innerWidth(config), 3072);
    assert.equal(innerWidth(gpt2Config({ n_inner: 100 })), 100);
  });

  it('keeps fields it does not know', () => {
    assert.equal(gpt2Config({ task_specific_params: 1 }).task_specific_params, 1);
  });

  it("takes the general names of transformers' configurations for its own", () => {
    const general = {
      hidden_size: 128,
      num_hidden_layers: 3,
      num_attention_heads: 2,
      max_position_embeddings: 40,
      n_positions: 30,
      bos_token_id: null,
    };
    const config = gpt2Config(general);
    assert.deepEqual(
      [config.n_embd, config.n_layer, config.n_head, config.n_positions, config.bos_token_id],
      [128, 3, 2, 30, 50256],
    );
    assert.ok(!('hidden_size' in config));
    assert.throws(() => gpt2Config({ hidden_size: 'wide' }), /n_embd: /);
  });

  const refused: readonly (readonly [unknown, RegExp])[] = [
    [{ n_embd: 10, n_head: 3 }, /^x\.json: n_embd 10 is not a multiple of n_head 3\.$/],
    [{ n_layer: 0 }, /^x\.json is not one of a GPT-2 model: n_layer: /],
    [{ n_head: 2.5 }, /: n_head: /],
    [{ vocab_size: '50257' }, /: vocab_size: /],
    [{ attn_pdrop: 1 }, /: attn_pdrop: /],
    [{ model_type: 'llama' }, /: model_type: /],
    [{ activation_function: 'relu' }, /: activation_function: /],
    [{ scale_attn_by_inverse_layer_idx: true }, /: scale_attn_by_inverse_layer_idx: /],
    [{ tie_word_embeddings: false }, /: tie_word_embeddings: /],
    [[], /^x\.json is not one of a GPT-2 model: /],
    ['text', /^x\.json is not one of a GPT-2 model: /],
    [null, /^x\.json is not one of a GPT-2 model: /],
  ];
  for (const [options, message] of refused) {
    it(`refuses ${JSON.stringify(options)}`, () => {
      assert.throws(
        () => gpt2Config(options, 'x.json'),
        (error: unknown) => {
          assert.ok(error instanceof UserError);
          assert.match(error.message, message);
          assert.ok(!error.message.includes('\n'));
          return true;
        },
      );
    });
  }

  it('counts the parameters of the published sizes', () => {
    const counts = Object.values(PUBLISHED_SIZES).map((size) => parameterCount(gpt2Config(size)));
    assert.deepEqual(counts, [124_439_808, 354_823_168, 774_030_080]);
  });

  it('reads what transformers writes', async () => {
    const config = gpt2Config(await readJson(golden('gpt2', 'tiny', 'config.json')));
    assert.deepEqual([config.n_embd, config.eos_token_id, config.attn_pdrop], [24, 210, 0]);
  });

  for (const [name, size] of [
    ['117M', PUBLISHED_SIZES.small],
    ['345M', PUBLISHED_SIZES.medium],
    ['762M', PUBLISHED_SIZES.large],
  ] as const) {
    const path = sharedData('gpt2', `config.${name}.json`);
    const skip = !existsSync(path) && 'needs ../shared/data';
    it(`reads the published config.json of ${name}`, { skip }, async () => {
      const { n_embd, n_layer, n_head, n_positions } = gpt2Config(await readJson(path), path);
      assert.deepEqual({ n_embd, n_layer, n_head }, size);
      assert.equal(n_positions, 1024);
    });
  }
});
