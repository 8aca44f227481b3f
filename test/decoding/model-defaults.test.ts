import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import { UserError } from '../../src/base/errors.js';
import { freshCheckpoint, saveCheckpoint } from '../../src/checkpoint/index.js';
import {
  checkOptions,
  type GenerationOptions,
  generationOptions,
  loadModel,
  readModelDefaults,
  type ReplyCandidate,
  withDefaults,
} from '../../src/decoding/index.js';
import { Tokenizer, trainVocabulary } from '../../src/tokenizer/index.js';
import { temporaryFolder } from '../support/files.js';

const sampling: GenerationOptions = { temperature: 0.5, topK: 20, numCandidates: 4, rerank: 'mmi' };
const beams: GenerationOptions = { numBeams: 4, lengthPenalty: 2, maxNewTokens: 30 };

const drawnBeams: GenerationOptions = {
  doSample: true,
  temperature: 0.5,
  numBeams: 4,
  lengthPenalty: 0.6,
};

const cases: readonly (readonly [GenerationOptions, GenerationOptions, GenerationOptions])[] = [
  [sampling, {}, sampling],
  [sampling, { temperature: 1 }, { ...sampling, temperature: 1 }],
  [sampling, { seed: 1, maxNewTokens: 9 }, { ...sampling, seed: 1, maxNewTokens: 9 }],
  [sampling, { doSample: false }, { doSample: false }],
  [sampling, { numBeams: 3 }, { numBeams: 3 }],
  [sampling, { penaltyAlpha: 0.6, topK: 4 }, { penaltyAlpha: 0.6, topK: 4 }],
  [
    sampling,
    { numCandidates: 1, rerank: 'none' },
    { temperature: 0.5, topK: 20, numCandidates: 1, rerank: 'none' },
  ],
  [sampling, { numReturnSequences: 2 }, { temperature: 0.5, topK: 20, numReturnSequences: 2 }],
  [beams, {}, beams],
  [beams, { temperature: 0.5 }, { temperature: 0.5, maxNewTokens: 30 }],
  [drawnBeams, { temperature: 1 }, { ...drawnBeams, temperature: 1 }],
  [drawnBeams, { numBeams: 1 }, { doSample: true, temperature: 0.5, numBeams: 1 }],
  [drawnBeams, { doSample: false }, { doSample: false }],
  [beams, { numBeams: 1 }, { numBeams: 1, maxNewTokens: 30 }],
  [beams, { numCandidates: 8 }, { numCandidates: 8, maxNewTokens: 30 }],
  [beams, { maxLength: 40 }, { numBeams: 4, lengthPenalty: 2, maxLength: 40 }],
  [{ minLength: 9 }, { minNewTokens: 2 }, { minNewTokens: 2 }],
  [{ minNewTokens: 2 }, { minLength: 9 }, { minLength: 9 }],
  [{ repetitionPenalty: 1.2 }, { doSample: false }, { repetitionPenalty: 1.2, doSample: false }],
];

describe('withDefaults', () => {
  for (const [defaults, options, expected] of cases) {
    it(`${JSON.stringify(options)} over ${JSON.stringify(defaults)}`, () => {
      const merged = withDefaults(defaults, options);
      assert.deepEqual(merged, expected);
      generationOptions(merged);
    });
  }

  it('leaves options that cannot be to the check of where they are used', () => {
    assert.deepEqual(withDefaults(sampling, { topP: 7 }), { topP: 7 });
  });
});

describe('checkOptions', () => {
  it('refuses what contradicts itself or the model, and what none could make sense of', () => {
    for (const options of [{ lengthPenalty: 0.5 }, { earlyStopping: true }, { topK: 3 }, {}]) {
      checkOptions(options, drawnBeams);
      checkOptions(options);
    }
    checkOptions({ numBeamGroups: 2, diversityPenalty: 1 });
    checkOptions({ rerank: 'mmi' });
    checkOptions({ minNewTokens: 100 });
    assert.throws(() => {
      checkOptions({ lengthPenalty: 0.5 }, sampling);
    }, /lengthPenalty: is for beam search/);
    for (const options of [
      { topP: 7 },
      { doSample: false, topK: 3 },
      { numBeams: 1, lengthPenalty: 2 },
    ]) {
      assert.throws(() => {
        checkOptions(options);
      }, UserError);
    }
  });
});

describe('readModelDefaults', () => {
  const config = (folder: string, value: unknown) =>
    writeFile(join(folder, 'generation_config.json'), JSON.stringify(value));

  it("takes Hugging Face's names and ours, and leaves the rest alone", async (context) => {
    const folder = await temporaryFolder(context);
    await config(folder, {
      _from_model_config: true,
      eos_token_id: 50256,
      do_sample: true,
      temperature: 0.8,
      top_k: 30,
      no_repeat_ngram_size: null,
      num_candidates: 8,
      rerank: 'mmi',
      reverse_model: 'back',
    });
    assert.deepEqual(await readModelDefaults(folder), {
      options: { doSample: true, temperature: 0.8, topK: 30, numCandidates: 8, rerank: 'mmi' },
      reverseModel: 'back',
    });
    assert.deepEqual(await readModelDefaults(join(folder, 'model.safetensors')), { options: {} });
  });

  it('counts new tokens where both lengths are said, as Hugging Face does', async (context) => {
    const folder = await temporaryFolder(context);
    const both = { max_length: 20, min_length: 0, max_new_tokens: 50, min_new_tokens: 2 };
    await config(folder, both);
    const { options } = await readModelDefaults(folder);
    assert.deepEqual(options, { maxNewTokens: 50, minNewTokens: 2 });
  });

  it('says which file has an option that cannot be', async (context) => {
    const folder = await temporaryFolder(context);
    for (const [value, message] of [
      [{ temperature: 'hot' }, /generation_config\.json: temperature: /],
      [{ do_sample: false, temperature: 0.5 }, /generation_config\.json: .*option temperature/],
    ] as const) {
      await config(folder, value);
      await assert.rejects(
        readModelDefaults(folder),
        (error) => error instanceof UserError && message.test(error.message),
      );
    }
  });
});

describe("a model's own defaults", () => {
  it('hold where nothing is said, its reverse model included', async (context) => {
    const folder = await temporaryFolder(context);
    const tokenizer = new Tokenizer(trainVocabulary(['hello there how are you doing'], 270));
    const shape = { n_positions: 64, n_embd: 32, n_layer: 1, n_head: 2, initializer_range: 0.4 };
    const reverse = join(folder, 'reverse');
    for (const [path, seed] of [
      [join(folder, 'model'), 1],
      [reverse, 2],
    ] as const) {
      await saveCheckpoint(path, freshCheckpoint(tokenizer, shape, seed));
    }
    const own = { max_new_tokens: 5, num_candidates: 3, rerank: 'mmi', reverse_model: reverse };
    await writeFile(join(folder, 'model', 'generation_config.json'), JSON.stringify(own));
    await using model = await loadModel(join(folder, 'model'), { threads: 1 });
    const candidatesOf = async (options: GenerationOptions) => {
      let found: readonly ReplyCandidate[] = [];
      const onCandidates = (all: readonly ReplyCandidate[]) => {
        found = all;
      };
      await text(model.reply(['hello'], { ...options, onCandidates }));
      return found;
    };
    const drawn = await candidatesOf({ seed: 1 });
    assert.equal(drawn.length, 3);
    assert.ok(drawn.every(({ scores }) => 'final' in scores));
    assert.equal((await candidatesOf({ doSample: false })).length, 1);
  });
});
