import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { type Example, IGNORED_LABEL, labelCount, toExample } from '../../src/dataset/index.js';
import { goldenJson, goldenRow } from '../support/golden.js';

const END = 99;

function plain(example: Example | undefined) {
  return (
    example && {
      ids: [...example.inputIds],
      labels: [...example.labels],
      types: [...example.tokenTypeIds],
      weights: [...example.weights],
    }
  );
}

describe('toExample', () => {
  it('joins turns by the end of text and labels all but the first', () => {
    const example = toExample({ turns: [[1, 2], [3], [4, 5]], weights: [1, 1, 1] }, END);
    assert.deepEqual(plain(example), {
      ids: [1, 2, END, 3, END, 4, 5],
      labels: [-1, -1, 3, END, 4, 5, END],
      types: [0, 0, 1, 1, 2, 2, 2],
      weights: [0, 0, 1, 1, 1, 1, 1],
    });
    assert.equal(example && labelCount(example), 5);
  });

  it('learns nothing of turns of weight 0, and cuts off what follows the last label', () => {
    const turns = [[1], [2], [3], [4]];
    assert.deepEqual(plain(toExample({ turns, weights: [1, 0, 1, 0] }, END)), {
      ids: [1, END, 2, END, 3],
      labels: [-1, -1, -1, 3, END],
      types: [0, 1, 1, 2, 2],
      weights: [0, 0, 0, 1, 1],
    });
  });

  it('keeps weights other than 0 and 1', () => {
    const example = toExample({ turns: [[1], [2]], weights: [9, 0.5] }, END);
    assert.deepEqual(plain(example)?.weights, [0, 0.5, 0.5]);
  });

  it('is nothing where there is nothing to learn', () => {
    assert.equal(toExample({ turns: [[1], [2]], weights: [1, 0] }, END), undefined);
    assert.equal(toExample({ turns: [[1, 2]], weights: [1] }, END), undefined);
    assert.equal(toExample({ turns: [], weights: [] }, END), undefined);
  });

  it('takes empty turns: their end is learnt', () => {
    assert.deepEqual(plain(toExample({ turns: [[], [], [7]], weights: [1, 1, 1] }, END)), {
      ids: [END, END, 7],
      labels: [END, 7, END],
      types: [1, 2, 2],
      weights: [1, 1, 1],
    });
  });

  it('makes the rows that PyTorch was given', async () => {
    const schema = z.object({ rows: z.array(goldenRow) });
    const { rows } = await goldenJson(schema, 'gpt2', 'gradients.json');
    for (const row of rows) {
      // The golden rows hold input ids; the turns are what the end of text (210) divides. A turn
      // past the last label is cut off, and does not matter.
      const turns: number[][] = [[]];
      for (const id of row.input_ids) {
        if (id === 210) turns.push([]);
        else turns.at(-1)?.push(id);
      }
      const weights = row.turn_weights.slice(0, turns.length);
      const example = toExample({ turns, weights }, 210);
      assert.deepEqual(plain(example)?.ids, row.input_ids);
      assert.deepEqual(plain(example)?.labels, row.labels);
      assert.deepEqual(plain(example)?.types, row.token_type_ids);
      assert.ok(row.labels.includes(IGNORED_LABEL));
    }
  });
});
