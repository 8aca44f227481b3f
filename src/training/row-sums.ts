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
  // The members of each row: values at first, then groups of them. The last of all is zero.
  let members: number[][] = Array.from({ length: tableRows }, () => []);
  for (const [value, row] of looked.entries()) at(members, row).push(value);
  let nothing = looked.length;
  const feeds: [string, HostTensors[string]][] = [];
  for (let level = 0; level < LEVELS; level++) {
    const lists: number[] = [];
    let groups = 0;
    members = members.map((list) => {
      const made: number[] = [];
      for (let start = 0; start < list.length; start += GROUP) {
        for (let place = start; place < start + GROUP; place++) lists.push(list[place] ?? nothing);
        made.push(groups++);
      }
      return made;
    });
    for (let place = 0; place < GROUP; place++) lists.push(nothing);
    nothing = groups;
    feeds.push([`${name}.level${level}`, int32(lists, [groups + 1, GROUP])]);
  }
  const most = members.reduce((longest, { length }) => Math.max(longest, length), 1);
  const rows = new Int32Array(tableRows * most).fill(nothing);
  for (const [row, list] of members.entries()) rows.set(list, row * most);
  feeds.push([`${name}.rows`, int32(rows, [tableRows, most])]);
  return Object.fromEntries(feeds);
}
