import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { at } from '../../src/base/arrays.js';
import { loadRanker, saveCheckpoint } from '../../src/checkpoint/index.js';
import { Ranker } from '../../src/decoding/index.js';
import { temporaryFolder } from '../support/files.js';
import { checkpoint, errorSchema, post, servedModel } from '../support/serving.js';

const resultsSchema = z.object({
  results: z.array(
    z.object({
      index: z.number(),
      relevance_score: z.number(),
      document: z.object({ text: z.string() }).optional(),
    }),
  ),
});

describe('POST /v1/rerank', () => {
  it('ranks replies as the ranking models do', async (context) => {
    const folder = await temporaryFolder(context);
    await saveCheckpoint(join(folder, 'tiny'), checkpoint);
    const heads = [Math.sin, Math.cos];
    for (const [index, head] of heads.entries()) {
      const score = Float32Array.from({ length: 32 }, (_, place) => head(place));
      await saveCheckpoint(join(folder, `ranker${index}`), { ...checkpoint, score });
    }
    const rankers = heads.map((_, index) => ({
      name: `ranker${index}`,
      path: join(folder, `ranker${index}`),
    }));
    const server = await servedModel(context, {
      model: join(folder, 'tiny'),
      loading: { rankers },
    });
    const query = ['how are you', 'hello there'];
    const documents = Array.from({ length: 20 }, (_, index) => 'hello there '.repeat(index + 1));
    await using ranker = await Ranker.create(await loadRanker(at(rankers, 1).path));
    const expected = await ranker.score(query, documents);
    const ask = async (fields: object) => {
      const { status, body } = await post(server, '/v1/rerank', { query, documents, ...fields });
      assert.equal(status, 200, JSON.stringify(body));
      return resultsSchema.parse(body).results;
    };
    const all = await ask({ model: 'ranker1', return_documents: true });
    assert.equal(all.length, documents.length);
    for (const { index, relevance_score: score, document } of all) {
      assert.ok(Math.abs(score - at(expected, index)) < 1e-5);
      assert.equal(document?.text, documents[index]);
    }
    const scores = all.map(({ relevance_score: score }) => score);
    assert.deepEqual(
      scores,
      scores.toSorted((a, b) => b - a),
    );
    const top = await ask({
      model: 'ranker1',
      top_n: 3,
      documents: documents.map((text) => ({ text })),
    });
    assert.deepEqual(
      top.map(({ index }) => index),
      all.slice(0, 3).map(({ index }) => index),
    );
    // Without a ranker's name, all of them decide together.
    assert.notDeepEqual(await ask({ model: 'tiny' }), await ask({ model: 'ranker1' }));
    const stranger = await post(server, '/v1/rerank', { model: 'x', query: 'x', documents });
    assert.equal(stranger.status, 404);
    const empty = await post(server, '/v1/rerank', { query: 'x', documents: [] });
    assert.equal(empty.status, 400);
    assert.equal(errorSchema.parse(empty.body).error.param, 'documents');
  });
});
