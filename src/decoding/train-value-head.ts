import { createHash } from 'node:crypto';
import { at, range, sum } from '../base/arrays.js';
import { UserError } from '../base/errors.js';
import type { JudgedResponse } from '../base/judged-responses.js';
import type { Checkpoint, ValueHead } from '../checkpoint/index.js';
import type { SessionOptions } from '../runtime/index.js';
import { fitLogisticRegression, type LinearModel } from './logistic-regression.js';
import { ReplyReader, valueOf } from './value-reranker.js';

/** How {@link trainValueHead} works. */
export interface ValueHeadOptions extends SessionOptions {
  /** How much smaller weights are preferred; 200. */
  readonly ridge?: number;
  /** The share of histories that are held out to report how well the head chooses; 0.1. */
  readonly validation?: number;
  /** Is told how many responses have been read. */
  readonly onProgress?: (read: number) => void;
}

/** How well a head chooses among the responses to each held-out history. */
export interface ValueHeadReport {
  readonly histories: number;
  readonly responses: number;
  /** The share of histories of which the response with the highest value is good. */
  readonly chosen: number;
  /** The same for one taken at random. */
  readonly random: number;
  /** The share of histories that have a good response: more cannot be chosen. */
  readonly possible: number;
  /** The chance that a good response has a higher value than another, whatever the histories. */
  readonly areaUnderCurve: number;
}

/** How many responses are read at once. */
const READ_TOGETHER = 64;

/**
 * Makes a value head for a language model from judged responses. The model itself stays as it is: it
 * reads each response once, and a logistic regression says what of that tells good ones from others.
 * It is fitted without the held-out histories to be measured by them, then with all.
 *
 * @throws UserError if all responses are judged alike, or none are held out.
 */
export async function trainValueHead(
  checkpoint: Checkpoint,
  judged: readonly JudgedResponse[],
  { ridge = 200, validation = 0.1, onProgress, ...session }: ValueHeadOptions = {},
): Promise<{ readonly head: ValueHead; readonly report: ValueHeadReport }> {
  const isHeldOut = judged.map(({ history }) => shareOf(history) < validation);
  const labels = judged.map(({ good }) => good);
  const parts = { 'to learn from': false, 'held out': true };
  for (const [name, held] of Object.entries(parts)) {
    const own = labels.filter((_, index) => isHeldOut[index] === held);
    if (own.includes(true) && own.includes(false)) continue;
    throw new UserError(
      `Of the ${own.length} responses ${name}, none is good or none is not; a value head needs both. Judge more responses.`,
    );
  }
  await using reader = await ReplyReader.create(checkpoint, session);
  const rows: Float32Array[] = [];
  for (let start = 0; start < judged.length; start += READ_TOGETHER) {
    rows.push(...(await reader.read(judged.slice(start, start + READ_TOGETHER))));
    onProgress?.(rows.length);
  }
  const width = checkpoint.parameters.config.n_embd;
  const fit = (chosen: readonly number[]): ValueHead =>
    headOf(
      fitLogisticRegression(
        chosen.map((index) => at(rows, index)),
        chosen.map((index) => at(labels, index)),
        ridge,
      ),
      width,
    );
  const all = range(0, judged.length);
  const trial = fit(all.filter((index) => isHeldOut[index] !== true));
  const heldOut = all.filter((index) => isHeldOut[index] === true);
  const values = heldOut.map((index) => ({
    history: at(judged, index).history.join('\n'),
    good: at(labels, index),
    value: valueOf(trial, at(rows, index)),
  }));
  return { head: fit(all), report: reportOf(values) };
}

function headOf({ weights, bias }: LinearModel, width: number): ValueHead {
  return {
    state: Float32Array.from(weights.subarray(0, width)),
    measures: Float32Array.from(weights.subarray(width)),
    bias,
  };
}

/** A number from 0 to below 1 that depends on the history alone. */
function shareOf(history: readonly string[]): number {
  return createHash('sha256').update(history.join('\n')).digest().readUInt32BE() / 2 ** 32;
}

interface Valued {
  readonly history: string;
  readonly good: boolean;
  readonly value: number;
}

function reportOf(valued: readonly Valued[]): ValueHeadReport {
  const groups = new Map<string, Valued[]>();
  for (const one of valued) {
    const group = groups.get(one.history);
    if (group === undefined) groups.set(one.history, [one]);
    else group.push(one);
  }
  const histories = [...groups.values()];
  const share = (of: (responses: readonly Valued[]) => number) =>
    sum(histories.map(of)) / histories.length;
  return {
    histories: histories.length,
    responses: valued.length,
    chosen: share((all) => Number(all.toSorted((a, b) => b.value - a.value)[0]?.good === true)),
    random: share((all) => all.filter(({ good }) => good).length / all.length),
    possible: share((all) => Number(all.some(({ good }) => good))),
    areaUnderCurve: areaUnderCurve(valued),
  };
}

/** The Mann-Whitney statistic; ties count half. */
function areaUnderCurve(valued: readonly Valued[]): number {
  const sorted = valued.toSorted((a, b) => a.value - b.value);
  let below = 0;
  let wins = 0;
  for (let start = 0; start < sorted.length;) {
    const { value } = at(sorted, start);
    let end = start;
    while (end < sorted.length && at(sorted, end).value === value) end += 1;
    const tied = sorted.slice(start, end);
    const good = tied.filter((one) => one.good).length;
    wins += good * (below + (tied.length - good) / 2);
    below += tied.length - good;
    start = end;
  }
  const good = valued.length - below;
  return wins / (good * below);
}
