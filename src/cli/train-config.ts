import { InvalidArgumentError } from '@commander-js/extra-typings';
import { resolve } from 'node:path';
import { z } from 'zod';
import { exists, readJson } from '../base/files.js';
import { truth, UsageError } from './arguments.js';
import type { TrainCommand } from './train-flags.js';

/** Flags that are about one call of the command, not about the run. */
const OF_THE_CALL = new Set([
  '--config',
  '--continue-from',
  '--out',
  '--output-dir',
  '--dashboard',
  '--help',
]);

/** Flags whose value is a path, or may be one. */
const PATHS = new Set([
  '--data',
  '--train-input-file',
  '--eval-input-file',
  '--model',
  '--model-name-or-path',
  '--init-checkpoint',
  '--log-dir',
]);

/** The README's name of a flag that the original's parser calls otherwise. */
const OTHER_NAMES: ReadonlyMap<string, string> = new Map([['validbatchsize', 'evalbatchsize']]);

/** Flags of which only one may be given. */
const RIVALS = [
  ['--data', '--train-input-file'],
  ['--model', '--model-name-or-path'],
  ['--out', '--output-dir'],
  ['--num-optim-steps', '--num-train-epochs'],
] as const;

type Flag = TrainCommand['options'][number];

/**
 * Takes settings from a JSON file for which no flag was given. Keys may be in snake case (the
 * original's), kebab case or camel case.
 *
 * @throws UsageError for a key that there is no flag for, or a value that it does not take.
 */
export async function readConfigFile(command: TrainCommand, path: string): Promise<void> {
  const parsed = z.record(z.string(), z.unknown()).safeParse(await readJson(path));
  if (!parsed.success) throw new UsageError(`${path}: expected a JSON object of settings.`);
  const beaten = beatenFlags(command);
  for (const [key, value] of Object.entries(parsed.data)) {
    const flag = findFlag(command, key);
    if (flag === undefined) {
      const similar = closest(plain(key), command.options.map(longName));
      throw new UsageError(
        `${path}: there is no setting "${key}"${similar === undefined ? '' : `; did you mean "${similar.slice(2).replaceAll('-', '_')}"?`}`,
      );
    }
    if (value === null || beaten.has(longName(flag))) continue;
    if (!isScalar(value)) {
      throw new UsageError(`${path}: the setting "${key}" takes one value, not a list or object.`);
    }
    give(command, flag, String(value), `${path}: the setting "${key}"`);
  }
}

/** Takes the settings of an earlier run for which no flag was given. */
export function repeatCommand(
  command: TrainCommand,
  saved: Readonly<Record<string, string>>,
): void {
  const beaten = beatenFlags(command);
  for (const [key, value] of Object.entries(saved)) {
    const flag = findFlag(command, key);
    if (flag !== undefined && !beaten.has(key))
      give(command, flag, value, `the run's setting "${key}"`);
  }
}

/** What was given, by the names of flags, to be repeated by {@link repeatCommand}. */
export async function givenSettings(command: TrainCommand): Promise<Record<string, string>> {
  const given: Record<string, string> = {};
  for (const flag of command.options) {
    const name = longName(flag);
    const value: unknown = command.getOptionValue(flag.attributeName());
    if (OF_THE_CALL.has(name) || !isGiven(command, flag)) continue;
    if (!isScalar(value)) continue;
    const text = String(value);
    given[name] = PATHS.has(name) && (await exists(text)) ? resolve(text) : text;
  }
  return given;
}

/** Flags that count no more, because the other of two was given. */
function beatenFlags(command: TrainCommand): ReadonlySet<string> {
  const given = new Set(command.options.filter((flag) => isGiven(command, flag)).map(longName));
  return new Set(
    RIVALS.flatMap(([one, other]) => [
      ...(given.has(one) ? [other] : []),
      ...(given.has(other) ? [one] : []),
    ]),
  );
}

function longName({ long }: Flag): string {
  return long ?? '';
}

function isGiven(command: TrainCommand, flag: Flag): boolean {
  const source = command.getOptionValueSource(flag.attributeName());
  return source !== undefined && source !== 'default';
}

function give(command: TrainCommand, flag: Flag, text: string, what: string): void {
  if (isGiven(command, flag)) return;
  try {
    const read: (text: string, previous: unknown) => unknown = flag.parseArg ?? ((own) => own);
    const value = flag.isBoolean() ? truth(text) : read(text, undefined);
    if (value !== false || !flag.isBoolean()) {
      command.setOptionValueWithSource(flag.attributeName(), value, 'config');
    }
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    throw new UsageError(`${what} is ${text}: ${error.message}`, { cause: error });
  }
}

function findFlag(command: TrainCommand, key: string): Flag | undefined {
  const name = OTHER_NAMES.get(plain(key)) ?? plain(key);
  return command.options.find((flag) => plain(longName(flag)) === name);
}

function isScalar(value: unknown): value is string | number | boolean {
  return ['string', 'number', 'boolean'].includes(typeof value);
}

/** A name in any case, without what cases differ in. */
function plain(name: string): string {
  return name.toLowerCase().replace(/[-_]/g, '');
}

/** The name that differs least from `wanted`, if it is not too far. */
function closest(wanted: string, names: readonly string[]): string | undefined {
  const ranked = names
    .map((name) => ({ name, distance: editDistance(wanted, plain(name)) }))
    .sort((a, b) => a.distance - b.distance);
  const [first] = ranked;
  return first !== undefined && first.distance <= Math.max(2, 0.4 * wanted.length)
    ? first.name
    : undefined;
}

/** The least number of letters to add, remove or change (Levenshtein). */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let line = 0; line < from.length; line++) {
    const next = [line + 1];
    for (let column = 1; column <= to.length; column++) {
      const changed = (row[column - 1] ?? 0) + Number(from[line] !== to[column - 1]);
      next.push(Math.min(changed, (row[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
