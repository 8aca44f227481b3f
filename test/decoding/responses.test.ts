import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { range } from '../../src/base/arrays.js';
import { loadCheckpoint } from '../../src/checkpoint/index.js';
import {
  Decoder,
  type DialogModel,
  finishSearch,
  generateResponses,
  type GenerationOptions,
  loadModel,
  replySearch,
  type ResponseOptions,
  responsesAtOnce,
  seedOfContext,
} from '../../src/decoding/index.js';
import { golden } from '../support/files.js';

const folder = golden('ranking', 'reverse');
const contexts = range(0, 9).map((index) => ['hello', 'and '.repeat(index % 4), `say ${index}`]);
let model: DialogModel;
before(async () => {
  model = await loadModel(folder, { threads: 1, exact: true, slots: 8, reverseModel: folder });
});
after(() => model[Symbol.asyncDispose]());

async function responses(
  options: ResponseOptions,
  some: readonly (readonly string[])[] = contexts,
): Promise<string[]> {
  const found: string[] = [];
  let index = options.firstContext ?? 0;
  for await (const response of generateResponses(model, some, options)) {
    assert.equal(response.index, index++);
    assert.equal(response.candidates[0]?.text, response.response);
    found.push(response.response);
  }
  return found;
}

const searches: Readonly<Record<string, GenerationOptions>> = {
  sampling: { seed: 7, maxNewTokens: 9 },
  'greedy search': { doSample: false, maxNewTokens: 9 },
  'beam search': { numBeams: 3, maxNewTokens: 6 },
  'diverse beam search': { numBeams: 4, numBeamGroups: 2, diversityPenalty: 0.5, maxNewTokens: 4 },
  'contrastive search': { penaltyAlpha: 0.6, topK: 3, maxNewTokens: 5 },
  'candidates with mutual information': {
    seed: 7,
    numCandidates: 3,
    rerank: 'mmi',
    maxNewTokens: 5,
  },
};

describe('generateResponses', () => {
  for (const [name, options] of Object.entries(searches)) {
    it(`gives the same in any batch and from any start, in order: ${name}`, async () => {
      const alone = await responses({ ...options, batchSize: 1 });
      assert.equal(alone.length, contexts.length);
      assert.ok(new Set(alone).size > 1);
      assert.deepEqual(await responses({ ...options, batchSize: 8 }), alone);
      const rest = { ...options, batchSize: 4, firstContext: 5 };
      assert.deepEqual(await responses(rest, contexts.slice(5)), alone.slice(5));
    });
  }

  it('draws for each context by the seed and its number', async () => {
    const { parameters, tokenizer } = await loadCheckpoint(folder);
    await using decoder = await Decoder.create(parameters, { threads: 1 });
    const found = await responses({ seed: 7, maxNewTokens: 9 });
    for (const [index, context] of contexts.entries()) {
      const options = { seed: seedOfContext(7, index), maxNewTokens: 9 };
      const search = replySearch(parameters.config.n_positions, tokenizer, context, options);
      const [generation] = await finishSearch(decoder, search);
      assert.equal(found[index], tokenizer.decode(generation?.tokens ?? []).trim());
    }
    assert.notDeepEqual(await responses({ seed: 8, maxNewTokens: 9 }), found);
    assert.notEqual(seedOfContext(7, 1), seedOfContext(8, 0));
  });

  it('counts rows by beams and candidates', () => {
    assert.equal(responsesAtOnce({}, 16), 16);
    assert.equal(responsesAtOnce({ numBeams: 5 }, 16), 3);
    assert.equal(responsesAtOnce({ numCandidates: 16 }, 8), 1);
    assert.equal(responsesAtOnce({ penaltyAlpha: 0.6, topK: 4 }, 16), 4);
  });

  it('ends at a signal, with whole responses only', async () => {
    const all = await responses({ seed: 7, maxNewTokens: 9 });
    const controller = new AbortController();
    const found: string[] = [];
    const options = { seed: 7, maxNewTokens: 9, batchSize: 2, signal: controller.signal };
    for await (const { response } of generateResponses(model, contexts, options)) {
      found.push(response);
      if (found.length === 3) controller.abort();
    }
    assert.ok(found.length >= 3 && found.length < all.length);
    assert.deepEqual(found, all.slice(0, found.length));
  });

  it('throws what is wrong with a context when its turn comes', async () => {
    const some = [['a'], ['  '], ['b']];
    const found: string[] = [];
    await assert.rejects(
      async () => {
        for await (const { response } of generateResponses(model, some, { maxNewTokens: 3 })) {
          found.push(response);
        }
      },
      { name: 'UserError', message: /nothing to reply to/ },
    );
    assert.equal(found.length, 1);
  });

  it('tells usage', async () => {
    const options = { seed: 1, maxNewTokens: 4, numCandidates: 2 };
    for await (const { summary } of generateResponses(model, [['hello']], options)) {
      assert.equal(summary.promptTokens, 'hello'.length + 1);
      assert.ok(summary.completionTokens <= 4);
      assert.ok(summary.generatedTokens >= summary.completionTokens);
    }
  });
});
