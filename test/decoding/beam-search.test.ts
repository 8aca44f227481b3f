import fc from 'fast-check';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { at } from '../../src/base/arrays.js';
import { Decoder, decodingOptions, searchOf, searchTask } from '../../src/decoding/index.js';
import { runSearch } from '../../src/decoding/search.js';
import { decidedModel, END } from '../support/readers.js';

const parameters = decidedModel(8);

describe('beam search', () => {
  it('settles only tokens that its best generation has, and some before the end', async () => {
    await using decoder = await Decoder.create(parameters, { threads: 1, slots: 5 });
    let early = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: END }), { minLength: 1, maxLength: 10 }),
        fc.record({
          numBeams: fc.integer({ min: 2, max: 5 }),
          doSample: fc.boolean(),
          lengthPenalty: fc.constantFrom(-1, 0, 0.6, 1, 2),
          earlyStopping: fc.constantFrom<boolean | 'never'>(false, true, 'never'),
          maxNewTokens: fc.integer({ min: 1, max: 20 }),
          seed: fc.nat(),
        }),
        async (prompt, options) => {
          const complete = decodingOptions(options);
          const search = searchOf(searchTask(prompt, END, parameters.config.n_positions, complete));
          const shown: number[][] = [];
          let step = search.next([]);
          while (step.done !== true) {
            shown.push([...step.value.settled]);
            step = search.next(await decoder.read(step.value.sequences));
          }
          const best = at(step.value, 0).tokens;
          for (const settled of shown) assert.deepEqual(settled, best.slice(0, settled.length));
          const lengths = shown.map(({ length }) => length);
          assert.deepEqual(
            lengths,
            [...lengths].sort((a, b) => a - b),
          );
          if ((lengths.at(-1) ?? 0) > 0) early += 1;

          const streamed: number[] = [];
          const again = searchOf(searchTask(prompt, END, parameters.config.n_positions, complete));
          for await (const token of runSearch(decoder, again)) streamed.push(token);
          assert.deepEqual(streamed, best);
        },
      ),
      { numRuns: 60, seed: 4 },
    );
    assert.ok(early > 20, `only ${early} searches settled anything before they ended`);
  });
});
