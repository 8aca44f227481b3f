import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { range } from '../../src/base/arrays.js';
import { freshCheckpoint } from '../../src/checkpoint/index.js';
import {
  Decoder,
  finishSearch,
  type Reader,
  replySearch,
  type Search,
  SharedDecoder,
} from '../../src/decoding/index.js';
import { Tokenizer, trainVocabulary } from '../../src/tokenizer/index.js';

const tokenizer = new Tokenizer(trainVocabulary(['hello there how are you doing'], 270));
const config = { n_positions: 96, n_embd: 32, n_layer: 2, n_head: 4, initializer_range: 0.4 };
const { parameters } = freshCheckpoint(tokenizer, config, 17);

function search(seed: number): Search {
  const options = { seed, maxNewTokens: 8 + seed, numReturnSequences: 1 + (seed % 3) };
  return replySearch(96, tokenizer, [`hello ${seed}`], options);
}

describe('SharedDecoder', () => {
  it('answers many at a time, in common batches, as each alone', async () => {
    await using decoder = await Decoder.create(parameters, { threads: 1 });
    let reads = 0;
    const counted: Reader = {
      config: decoder.config,
      read: (sequences) => {
        reads += 1;
        return decoder.read(sequences);
      },
    };
    const apart = [];
    const alone = [];
    for (const seed of range(0, 6)) {
      reads = 0;
      apart.push(await finishSearch(counted, search(seed)));
      alone.push(reads);
    }
    reads = 0;
    const shared = new SharedDecoder(counted);
    const together = await Promise.all(
      range(0, 6).map((seed) => finishSearch(shared, search(seed))),
    );
    assert.deepEqual(together, apart);
    // The longest search alone decides how many batches there are.
    assert.equal(reads, Math.max(...alone));
  });

  it('tells everyone in a batch of its failure, and goes on', async () => {
    let broken = true;
    await using decoder = await Decoder.create(parameters, { threads: 1 });
    const shared = new SharedDecoder({
      config: decoder.config,
      read: (sequences) =>
        broken ? Promise.reject(new Error('no device')) : decoder.read(sequences),
    });
    const results = await Promise.allSettled(
      range(0, 2).map((n) => finishSearch(shared, search(n))),
    );
    assert.deepEqual(
      results.map(({ status }) => status),
      ['rejected', 'rejected'],
    );
    broken = false;
    assert.ok((await finishSearch(shared, search(1))).length > 0);
  });
});
