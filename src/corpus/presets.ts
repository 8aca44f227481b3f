import { join } from 'node:path';
import { UserError } from '../base/errors.js';
import { readLines, writeAll, writeFileWhole } from '../base/files.js';
import { monthFiles } from './extract-month.js';
import { defaultRules, type ExtractRules } from './extract-options.js';

/** What the original's `demo.py --data …` and Makefile set. */
export interface Preset {
  readonly months: string;
  readonly rules: ExtractRules;
  /** Key files relative to the folder of keys; `{month}` stands for the month. */
  readonly keepKeys: string;
  readonly discardTargetKeys?: string;
}

/** Makefile.local's settings. */
const makefileRules: ExtractRules = {
  ...defaultRules,
  clean: true,
  minScore: 1,
  minDepth: 2,
  maxDepth: 5,
  useTitle: false,
  leavesOnly: true,
};

const train = {
  rules: makefileRules,
  keepKeys: '{month}.gz',
  discardTargetKeys: '{month}-o.gz',
};

/**
 * `small` and `full` are the training months of Makefile.targets.small and .full, `test` the months
 * of the multi-reference test set, which `full` makes as well.
 */
export const presets = {
  small: { ...train, months: '2005-12..2009-12' },
  full: { ...train, months: '2005-12..2017-11' },
  test: {
    months: '2018-03..2019-01',
    rules: { ...makefileRules, leavesOnly: false },
    keepKeys: 'keys-test.gz',
  },
} as const satisfies Record<string, Preset>;

/**
 * The original's `dummy` data (data/prepare4db.sh): `train_raw.tsv`'s pairs with weights, the
 * context's 0.0 and the response's 1.0. Returns the number of pairs.
 */
export async function prepareDummy(input: string, out: string): Promise<number> {
  let pairs = 0;
  await writeFileWhole(out, async (file) => {
    let text = '';
    for await (const line of readLines(input)) {
      const [context = '', response = ''] = line.text.split('\t');
      text += `0.0 ${context}\t1.0 ${response}\n`;
      pairs++;
    }
    await writeAll(file, Buffer.from(text));
  });
  return pairs;
}

/**
 * Puts the conversations of months, without their keys, into one file, as the Makefile's
 * `../data/train.tsv` (`cut -f 2-3`).
 *
 * @throws UserError where one of the months is not done.
 */
export async function joinMonths(
  output: string,
  months: readonly string[],
  out: string,
): Promise<void> {
  await writeFileWhole(out, async (file) => {
    for (const month of months) {
      const path = monthFiles(output, month).tsv;
      let text = '';
      for await (const line of readMonth(path, month)) {
        text += `${line.slice(line.indexOf('\t') + 1)}\n`;
        if (text.length < 1 << 20) continue;
        await writeAll(file, Buffer.from(text));
        text = '';
      }
      await writeAll(file, Buffer.from(text));
    }
  });
}

async function* readMonth(path: string, month: string): AsyncGenerator<string, void, undefined> {
  try {
    for await (const { text } of readLines(path)) yield text;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(`${path} is not there: extract ${month} first, then join the months.`, {
      cause: error,
    });
  }
}

/** The paths of a preset's key files under a folder. */
export function presetKeys(
  preset: Preset,
  folder: string,
): { readonly keepKeys: string; readonly discardTargetKeys?: string } {
  return {
    keepKeys: join(folder, preset.keepKeys),
    ...(preset.discardTargetKeys !== undefined && {
      discardTargetKeys: join(folder, preset.discardTargetKeys),
    }),
  };
}
