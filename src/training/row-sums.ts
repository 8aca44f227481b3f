import { at } from '../base/arrays.js';
import {
  gather,
  type Graph,
  int,
  reduceSum,
  reshape,
  type RowGradient,
  type Tensor,
} from '../graph/index.js';
import { type HostTensors, int32 } from '../runtime/index.js';

/** How many rows are added up at once. */
const GROUP = 16;

/** How often groups are made of groups, before what is left is added to the table. */
const LEVELS = 3;

/**
 * The dense gradient of a table of which a batch looks up rows: for each row of the table, the sum
 * of the values that belong to it. The batch's rows are known before the graph runs, so which
 * values to add is an input ({@link rowSumFeeds}), and the graph gathers and adds them in groups of
 * groups: always in the same order, unlike a scatter, whose additions race on a GPU.
 *
 * @param rows the number of rows of the table
 * @param parts the values of all look-ups, in the order in which `rowSumFeeds` gets their rows
 * @returns `float32 [rows, width]`
 */
export function rowSums(
  graph: Graph,
  name: string,
  rows: number,
  parts: readonly RowGradient[],
  width: number,
): Tensor {
  const values = parts.map((part) => part.values);
  const nothing = graph.zeros([1, width]);
  const [all] = graph.node(
    'Concat',
    [...values, nothing],
    [{ type: 'float32', shape: [`${name}·values`, width] }],
    { axis: int(0) },
  );
  if (all === undefined) throw new Error('A node of one output made none.');
  let sums = all;
  for (let level = 0; level < LEVELS; level++) {
    const members = graph.input(`${name}.level${level}`, 'int32', [`${name}·${level}`, GROUP]);
    sums = reduceSum(gather(sums, members), [1]);
  }
  const groups = graph.input(`${name}.rows`, 'int32', [rows, `${name}·groups`]);
  return reshape(reduceSum(gather(sums, groups), [1]), [rows, width]);
}

/**
 * The inputs that {@link rowSums} declares.
 *
 * @param tableRows the number of rows of the table
 * @param looked the row that each value belongs to
 */
export function rowSumFeeds(name: string, tableRows: number, looked: Int32Array): HostTensors {
  // The members of each row, one row after the other: values at first, then groups of them.
  const counts = new Int32Array(tableRows);
  for (const row of looked) counts[row] = at(counts, row) + 1;
  let members = sortedByRow(looked, counts);
  // What stands for no member: the zeros behind all values, then the last group, of such alone.
  let nothing = looked.length;
  const feeds: [string, HostTensors[string]][] = [];
  for (let level = 0; level < LEVELS; level++) {
    const groups = counts.reduce((total, count) => total + Math.ceil(count / GROUP), 0);
    const lists = new Int32Array((groups + 1) * GROUP).fill(nothing);
    let from = 0;
    let to = 0;
    for (let row = 0; row < tableRows; row++) {
      const count = at(counts, row);
      if (count === 0) continue;
      lists.set(members.subarray(from, from + count), to);
      from += count;
      counts[row] = Math.ceil(count / GROUP);
      to += at(counts, row) * GROUP;
    }
    members = Int32Array.from({ length: groups }, (_, group) => group);
    nothing = groups;
    feeds.push([`${name}.level${level}`, int32(lists, [groups + 1, GROUP])]);
  }
  const most = counts.reduce((longest, count) => Math.max(longest, count), 1);
  const rows = new Int32Array(tableRows * most).fill(nothing);
  let group = 0;
  for (let row = 0; row < tableRows; row++) {
    for (let place = 0; place < at(counts, row); place++) rows[row * most + place] = group++;
  }
  feeds.push([`${name}.rows`, int32(rows, [tableRows, most])]);
  return Object.fromEntries(feeds);
}

/** The values' numbers in the order of their rows, those of one row in the order of the values. */
function sortedByRow(looked: Int32Array, counts: Int32Array): Int32Array {
  const next = new Int32Array(counts.length);
  let start = 0;
  for (let row = 0; row < counts.length; row++) {
    next[row] = start;
    start += at(counts, row);
  }
  const sorted = new Int32Array(looked.length);
  for (let value = 0; value < looked.length; value++) {
    const row = at(looked, value);
    const place = at(next, row);
    sorted[place] = value;
    next[row] = place + 1;
  }
  return sorted;
}
