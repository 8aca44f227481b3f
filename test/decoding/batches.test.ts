import fc from 'fast-check';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { at, range } from '../../src/base/arrays.js';
import { Random } from '../../src/base/random.js';
import {
  Decoder,
  type DecodingOptions,
  finishSearch,
  generate,
  generateTokens,
  runSearches,
  searchOf,
  searchTask,
  decodingOptions,
  type Sequence,
} from '../../src/decoding/index.js';
import { gpt2Config, Parameters } from '../../src/model/index.js';
import { READERS } from '../support/readers.js';

const config = gpt2Config({
  vocab_size: 61,
  n_positions: 80,
  n_embd: 32,
  n_layer: 2,
  n_head: 4,
  initializer_range: 0.15,
});
const parameters = Parameters.initialize(config, new Random(8));
const END = 60;

const token = fc.integer({ min: 0, max: END });
const prompt = fc.array(token, { minLength: 1, maxLength: 30 });
const sequence = fc
  .tuple(prompt, fc.array(token, { maxLength: 12 }))
  .map(([start, rest]): Sequence => ({ ids: [...start, ...rest], prompt: start.length }));

/** Options of every kind of search. */
const options: fc.Arbitrary<DecodingOptions> = fc.oneof(
  fc.record({ doSample: fc.constant(false) }),
  fc.record({ seed: fc.nat(), numReturnSequences: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ numBeams: fc.integer({ min: 2, max: 4 }) }),
  fc.record({ numBeams: fc.constant(4), doSample: fc.constant(true), seed: fc.nat() }),
  fc.constant({ numBeams: 4, numBeamGroups: 2, diversityPenalty: 0.5 }),
  fc.constant({ penaltyAlpha: 0.5, topK: 3 }),
);

describe('a decoder', () => {
  it('gives a long prompt the same bits with all its states and without, and after what is known of it', async () => {
    const long = gpt2Config({ ...config, n_positions: 620 });
    const weights = Parameters.initialize(long, new Random(9));
    const random = new Random(5);
    const ids = Array.from({ length: 620 }, () => random.below(END));
    for (const length of [129, 130, 192, 256, 257, 258, 259, 386, 513, 620]) {
      await using fresh = await Decoder.create(weights, { threads: 1 });
      const prompt = { ids: ids.slice(0, length), prompt: length };
      const [whole] = await fresh.read([{ ...prompt, states: true }]);
      const expected = whole?.logits.slice();
      assert.equal(whole?.states.length, length * long.n_embd);
      for (const known of [0, 2, 13, 64, 127, 200, 301, 500]) {
        if (known > length) continue;
        await using decoder = await Decoder.create(weights, { threads: 2 });
        if (known > 0) {
          const before = [...ids.slice(0, known), END, 1, 2];
          await decoder.read([{ ids: before, prompt: before.length }]);
        }
        const [reading] = await decoder.read([prompt]);
        assert.deepEqual(reading?.logits, expected, `${known} of ${length}`);
      }
    }
  });

  it('gives a row the same bits whatever was read before and is read beside it', async () => {
    await using shared = await Decoder.create(parameters, { threads: 2 });
    await fc.assert(
      fc.asyncProperty(fc.array(sequence, { minLength: 1, maxLength: 6 }), async (sequences) => {
        const together = await shared.read(sequences);
        const copies = together.map(({ logits }) => logits.slice());
        for (const [row, one] of sequences.entries()) {
          await using alone = await Decoder.create(parameters, { threads: 1 });
          const [reading] = await alone.read([one]);
          assert.deepEqual(copies[row], reading?.logits);
        }
      }),
      { numRuns: 25, seed: 1 },
    );
  });

  it('computes no more rows than it must, wherever they lie, to the same bits, where it copies', async () => {
    const rowsOfSteps: number[] = [];
    const copying = () =>
      at(READERS, 1).open(parameters, {}, (feeds) => {
        rowsOfSteps.push(at(feeds.last?.dims ?? [], 0));
      });
    await using decoder = await copying();
    const sequences = range(0, 9).map((row) => {
      const ids = range(0, 4 + row).map((place) => (7 * row + place) % END);
      return { ids, prompt: ids.length };
    });
    const longer = (row: number) => {
      const { ids, prompt } = at(sequences, row);
      return { ids: [...ids, 1, 2, 3], prompt };
    };
    await decoder.read(sequences);
    // The first, the last and one between them go on; all others are idle.
    for (const rows of [
      [0, 8],
      [8, 4, 0],
    ]) {
      rowsOfSteps.length = 0;
      const readings = await decoder.read(rows.map(longer));
      const found = readings.map(({ logits }) => logits.slice());
      assert.ok(rowsOfSteps.every((count) => count <= rows.length));
      for (const [index, row] of rows.entries()) {
        await using alone = await copying();
        const [expected] = await alone.read([longer(row)]);
        assert.deepEqual(found[index], expected?.logits);
      }
    }
    // Those that made room are remembered too.
    const again = await decoder.read(range(0, 9).map(longer));
    for (const [row, { known }] of again.entries()) {
      assert.ok(known >= at(sequences, row).ids.length, `row ${row}`);
    }
  });

  for (const { name, open } of READERS) {
    it(`keeps what an idle slot remembers, a full one too, when steps run over it: ${name}`, async () => {
      const { n_positions: longest } = config;
      // Enough rows that a gap of one slot among them is left as it is.
      const busy = range(0, 8).map((row) => ({ ids: [row, 5, 6, 7], prompt: 3 }));
      const longer = busy.map(({ ids, prompt }) => ({ ids: [...ids, 9, 8], prompt }));
      for (const length of [20, longest, 30, 12]) {
        const ids = range(0, length).map((place) => (3 * place) % END);
        const idle = { ids, prompt: length - 1 };
        await using decoder = await open(parameters);
        await decoder.read([...busy.slice(0, 4), idle, ...busy.slice(4)]);
        const found = (await decoder.read(longer)).map(({ logits }) => logits.slice());
        await using alone = await open(parameters);
        const [expected] = (await alone.read([idle])).map(({ logits }) => logits.slice());
        const [again] = await decoder.read([idle]);
        assert.deepEqual(again?.logits, expected);
        assert.equal(again?.known, length - 1);
        for (const [row, sequence] of longer.entries()) {
          const [reading] = await alone.read([sequence]);
          assert.deepEqual(found[row], reading?.logits);
        }
      }
    });
  }

  it('continues sequences that share their start as it would each by itself', async () => {
    await using shared = await Decoder.create(parameters);
    await fc.assert(
      fc.asyncProperty(
        prompt,
        fc.array(fc.array(token, { maxLength: 6 }), { minLength: 2, maxLength: 5 }),
        async (start, rests) => {
          const sequences = rests.map((rest) => ({
            ids: [...start, ...rest],
            prompt: start.length,
          }));
          const first = (await shared.read(sequences)).map(({ logits }) => logits.slice());
          const again = await shared.read([...sequences].reverse());
          assert.deepEqual(again.map(({ logits }) => logits).reverse(), first);
        },
      ),
      { numRuns: 25, seed: 2 },
    );
  });

  it('finds the same tokens in a batch, alone, and as a stream', async () => {
    await using shared = await Decoder.create(parameters);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(prompt, options), { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 1, max: 12 }),
        async (tasks, width) => {
          const searches = tasks.map(([ids, chosen]) => () => {
            const complete = decodingOptions({ maxNewTokens: 10, ...chosen });
            return searchOf(searchTask(ids, END, config.n_positions, complete));
          });
          const found = new Map<number, unknown>();
          for await (const { index, generations } of runSearches(shared, searches, width)) {
            found.set(index, generations);
          }
          assert.equal(found.size, tasks.length);
          for (const [index, [ids, chosen]] of tasks.entries()) {
            await using alone = await Decoder.create(parameters);
            const own = await generate(alone, END, ids, { maxNewTokens: 10, ...chosen });
            assert.deepEqual(found.get(index), own);
            const stream = generateTokens(shared, END, ids, { maxNewTokens: 10, ...chosen });
            const streamed: number[] = [];
            for await (const piece of stream) streamed.push(piece);
            assert.deepEqual(streamed, own[0]?.tokens);
          }
        },
      ),
      { numRuns: 12, seed: 3 },
    );
  });

  it('reads up to its last position and refuses what is longer', async () => {
    await using decoder = await Decoder.create(parameters);
    const ids = Array.from({ length: config.n_positions }, (_, index) => index % END);
    assert.equal((await decoder.logits(ids)).length, config.vocab_size);
    await assert.rejects(decoder.logits([...ids, 1]), RangeError);
    await assert.rejects(decoder.logits([]), RangeError);
    const rows = await finishSearch(
      decoder,
      searchOf(
        searchTask(
          ids.slice(2),
          END,
          config.n_positions,
          decodingOptions({ seed: 1, minNewTokens: 9 }),
        ),
      ),
    );
    assert.equal(rows[0]?.tokens.length, 2);
  });

  it('draws the first of several sequences as it draws one', async () => {
    await using decoder = await Decoder.create(parameters);
    const [one] = await generate(decoder, END, [1, 2, 3], { seed: 5 });
    const many = await generate(decoder, END, [1, 2, 3], { seed: 5, numReturnSequences: 5 });
    assert.deepEqual(many[0], one);
    assert.ok(new Set(many.map(({ tokens }) => tokens.join())).size > 1);
  });
});
