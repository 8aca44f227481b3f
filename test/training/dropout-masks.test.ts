import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { at, range, sum } from '../../src/base/arrays.js';
import { Graph } from '../../src/graph/index.js';
import type { DropoutMask } from '../../src/model/index.js';
import { float32, type HostTensors, Session } from '../../src/runtime/index.js';
import {
  drawMasks,
  mixingDropout,
  mixingFeeds,
  type MixedWords,
  namedLengths,
} from '../../src/training/dropout-masks.js';

const [ROWS, COLUMNS] = [512, 96];
const RATIO = 0.1;
const x = float32(new Float32Array(ROWS * COLUMNS).fill(1), [ROWS, COLUMNS]);

/** The masks of two places, as lists of 0 and 1. */
function draw(seed: number, number: number): [number[], number[]] {
  const graph = new Graph();
  graph.input('x', 'float32', ['rows', COLUMNS]);
  const masks: DropoutMask[] = ['a', 'b'].map((name) => ({
    input: graph.input(name, 'bool', ['rows', COLUMNS]),
    ratio: RATIO,
  }));
  const drawn = drawMasks({ graph, masks }, { x }, { seed, draw: number });
  return [bytesOf(drawn, 'a'), bytesOf(drawn, 'b')];
}

function bytesOf(tensors: HostTensors, name: string): number[] {
  const data = tensors[name]?.data;
  assert.ok(data instanceof Uint8Array);
  return [...data];
}

/** The share of places that both drop, in standard deviations from what it is by chance. */
function agreement(a: readonly number[], b: readonly number[]): number {
  const both = sum(a.map((kept, index) => Number(kept === 0 && at(b, index) === 0)));
  const share = RATIO * RATIO;
  return (both - share * a.length) / Math.sqrt(a.length * share * (1 - share));
}

describe('dropout masks', () => {
  it('drop the share that they should, wherever one looks', () => {
    const [mask] = draw(1, 5);
    const lines = [
      mask,
      ...range(0, 16).map((row) => mask.slice(row * COLUMNS, (row + 1) * COLUMNS)),
      ...range(0, COLUMNS).map((column) =>
        range(0, ROWS).map((row) => at(mask, row * COLUMNS + column)),
      ),
    ];
    for (const line of lines) {
      const deviation = Math.sqrt(line.length * RATIO * (1 - RATIO));
      const dropped = line.length - sum(line);
      assert.ok(
        Math.abs(dropped - RATIO * line.length) < 5 * deviation,
        `${dropped} of ${line.length}`,
      );
    }
  });

  it('have nothing to do with those of other places, draws, seeds, rows and columns', () => {
    const [mask, other] = draw(1, 5);
    const shifted = (by: number) => [...mask.slice(by), ...mask.slice(0, by)];
    const others = [
      other,
      draw(1, 6)[0],
      draw(2, 5)[0],
      shifted(1),
      shifted(COLUMNS),
      shifted(COLUMNS + 1),
    ];
    for (const one of others) assert.ok(Math.abs(agreement(mask, one)) < 5);
  });

  it('are the same where a graph makes them itself', async () => {
    const graph = new Graph();
    const words: MixedWords[] = [];
    const drop = mixingDropout(words);
    const input = graph.input('x', 'float32', ['rows', COLUMNS]);
    graph.output('a', drop(input, RATIO));
    graph.output('b', drop(input, RATIO));
    const feeds = mixingFeeds(words, namedLengths(graph, { x }), { seed: 4, draw: 9 });
    assert.equal(Object.keys(feeds).length, 2);
    await using session = await Session.create(graph, { threads: 1 });
    const outputs = await session.run({ x, ...feeds }, { a: null, b: null });
    for (const [place, mask] of draw(4, 9).entries()) {
      const data = outputs[place === 0 ? 'a' : 'b']?.data;
      assert.ok(data instanceof Float32Array);
      assert.deepEqual(
        Array.from(data, (value) => Number(value !== 0)),
        mask,
      );
    }
  });
});
