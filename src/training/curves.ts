import { readFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { at } from '../base/arrays.js';
import { UserError, withFileErrors } from '../base/errors.js';
import { exists } from '../base/files.js';
import { EVALUATION_LOG, STEP_LOG, TRAIN_LOG } from './log.js';

/** What is drawn of a run, in the order of the panels. */
export const CURVES = {
  loss: 'Training loss',
  perplexity: 'Held-out perplexity',
  learningRate: 'Learning rate',
  speed: 'Tokens a second',
  gradientNorm: 'Norm of the gradient',
} as const;

/** The name of a curve. */
export type CurveName = keyof typeof CURVES;

/** A place on a curve. */
export interface Point {
  readonly step: number;
  readonly value: number;
}

/** The curves of a run; those of which nothing was logged are empty. */
export interface RunCurves {
  readonly run: string;
  readonly curves: Readonly<Record<CurveName, readonly Point[]>>;
}

/** What is logged of a step; the last two are sums since the run's start. */
export interface StepRow {
  readonly step: number;
  readonly loss: number;
  readonly learningRate?: number;
  readonly gradientNorm?: number;
  readonly tokens: number;
  readonly seconds: number;
}

/** The most points that a curve has; more rows are summed up to as many stretches. */
const LARGEST_CURVE = 400;

/** The rows of a run's logs: read from its files, or collected while it goes on. */
export class RunRows {
  readonly run: string;
  readonly steps: StepRow[] = [];
  readonly validations: Point[] = [];

  constructor(run: string) {
    this.run = run;
  }

  /**
   * Reads the logs in a folder: ours, or `train_log.txt` and `eval_log.txt` as the original writes
   * them, whose losses are means since the epoch's start.
   *
   * @param upTo the last step to read
   * @throws UserError where there are no logs, or a line is none of theirs.
   */
  static async read(folder: string, run = folder, upTo = Infinity): Promise<RunRows> {
    const rows = new RunRows(run);
    const own = join(folder, STEP_LOG);
    const original = join(folder, TRAIN_LOG);
    if (await exists(own)) {
      for (const row of await readTable(own, upTo)) {
        rows.steps.push({
          step: row('global_step'),
          loss: row('loss'),
          learningRate: row('learning_rate'),
          gradientNorm: row('gradient_norm'),
          tokens: row('tokens'),
          seconds: row('seconds'),
        });
      }
    } else if (await exists(original)) {
      rows.steps.push(...sumEpochs(await readTable(original, upTo)));
    } else {
      throw new UserError(
        `${folder}: there are no logs (${STEP_LOG} or ${TRAIN_LOG}); name the folder of a run, or its --log-dir.`,
      );
    }
    const evaluation = join(folder, EVALUATION_LOG);
    if (await exists(evaluation)) {
      for (const row of await readTable(evaluation, upTo)) {
        rows.validations.push({ step: row('global_step'), value: row('eval_ppl') });
      }
    }
    return rows;
  }

  /** The curves of what is there now. */
  get curves(): RunCurves {
    const { steps, run } = this;
    const stretches = stretchesOf(steps);
    const mean = (value: (row: StepRow) => number | undefined): Point[] =>
      stretches.flatMap(({ rows, step }) => {
        const values = rows.map(value).filter((one) => one !== undefined && Number.isFinite(one));
        const total = values.reduce<number>((sum, one) => sum + (one ?? 0), 0);
        return values.length === 0 ? [] : [{ step, value: total / values.length }];
      });
    const speed = stretches.flatMap(({ before, step, rows }) => {
      const end = at(rows, rows.length - 1);
      const seconds = end.seconds - (before?.seconds ?? 0);
      const tokens = end.tokens - (before?.tokens ?? 0);
      return seconds > 0 ? [{ step, value: tokens / seconds }] : [];
    });
    return {
      run,
      curves: {
        loss: mean(({ loss }) => loss),
        perplexity: this.validations.filter(({ value }) => Number.isFinite(value)),
        learningRate: mean(({ learningRate }) => learningRate),
        speed,
        gradientNorm: mean(({ gradientNorm }) => gradientNorm),
      },
    };
  }
}

/** Reads the logs of some runs; those of one name are told apart by their paths. */
export async function readRuns(folders: readonly string[]): Promise<RunCurves[]> {
  const names = folders.map((folder) => basename(resolve(folder)));
  const runs: RunCurves[] = [];
  for (const [index, folder] of folders.entries()) {
    const name = at(names, index);
    const single = names.indexOf(name) === names.lastIndexOf(name);
    runs.push((await RunRows.read(folder, single ? name : folder)).curves);
  }
  return runs;
}

interface Stretch {
  /** The last row before. */
  readonly before: StepRow | undefined;
  readonly rows: readonly StepRow[];
  /** The last step. */
  readonly step: number;
}

function stretchesOf(rows: readonly StepRow[]): Stretch[] {
  const count = Math.min(LARGEST_CURVE, rows.length);
  return Array.from({ length: count }, (_, index) => {
    const start = Math.floor((index * rows.length) / count);
    const end = Math.floor(((index + 1) * rows.length) / count);
    return { before: rows[start - 1], rows: rows.slice(start, end), step: at(rows, end - 1).step };
  });
}

/** The original counts tokens and seconds anew in each epoch. */
function sumEpochs(table: readonly Row[]): StepRow[] {
  let tokens = 0;
  let seconds = 0;
  let last = { epoch: 0, tokens: 0, seconds: 0 };
  return table.map((row) => {
    const here = { epoch: row('epoch'), tokens: row('n_token_real'), seconds: row('epoch_time') };
    if (here.epoch !== last.epoch) {
      tokens += last.tokens;
      seconds += last.seconds;
    }
    last = here;
    return {
      step: row('global_step'),
      loss: row('mean_loss'),
      tokens: tokens + here.tokens,
      seconds: seconds + here.seconds,
    };
  });
}

/** The number in a column of a row. */
type Row = (column: string) => number;

async function readTable(path: string, upTo: number): Promise<Row[]> {
  const text = await withFileErrors(path, () => readFile(path, 'utf8'));
  // A line that is being written, or was cut short, has no end yet.
  const [head = '', ...lines] = text.split(/\r?\n/).slice(0, -1);
  const places = new Map(head.split(',').map((name, place) => [name.trim(), place]));
  const rows = lines.map((line, index): Row => {
    const fields = line.split(',');
    return (column) => {
      const field = fields[places.get(column) ?? -1]?.trim() ?? '';
      const value = field === '' ? NaN : Number(field);
      if (Number.isNaN(value) && field.toLowerCase() !== 'nan') {
        throw new UserError(
          `${path}, line ${index + 2}: there is no number in the column ${column}; mend or remove the line.`,
        );
      }
      return value;
    };
  });
  return rows.filter((row) => row('global_step') <= upTo);
}
