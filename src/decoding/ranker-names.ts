import { dirname, isAbsolute, join } from 'node:path';
import { z } from 'zod';
import { messageOf, UserError } from '../base/errors.js';
import { exists, readText } from '../base/files.js';

/** DialogRPT's rankers: `prior` tells people's responses from others, `cond` what people like. */
const PUBLISHED: ReadonlyMap<string, 'prior' | 'cond'> = new Map([
  ['updown', 'cond'],
  ['depth', 'cond'],
  ['width', 'cond'],
  ['human-vs-rand', 'prior'],
  ['human-vs-machine', 'prior'],
]);

/** A ranker that a person named, with its part in an ensemble. */
export interface NamedRanker {
  /** The name its scores have. */
  readonly name: string;
  /** A folder, a file or a name on the hub. */
  readonly path: string;
  readonly weight: number;
  readonly kind: 'prior' | 'cond';
}

const memberSchema = z.object({ name: z.string(), wt: z.number(), path: z.string() });
const members = z.array(memberSchema).nullish();
const ensembleSchema = z.object({ prior: members, cond: members });

/**
 * The rankers that a person named: `NAME` or `NAME=WEIGHT` each, where NAME is one of DialogRPT's
 * (`updown`, `depth`, `width`, `human-vs-rand`, `human-vs-machine`) or a model; or the path of an
 * ensemble as DialogRPT's `restore/ensemble.yml`.
 *
 * @throws UserError if a weight is none, or an ensemble cannot be read.
 */
export async function namedRankers(names: readonly string[]): Promise<NamedRanker[]> {
  const rankers: NamedRanker[] = [];
  for (const text of names) {
    if (/\.ya?ml$/.test(text)) {
      rankers.push(...(await readEnsemble(text)));
      continue;
    }
    const [, name = text, amount = '1'] = /^(.*?)(?:=([^=]*))?$/.exec(text) ?? [];
    const weight = Number(amount);
    if (amount.trim() === '' || !Number.isFinite(weight)) {
      throw new UserError(`Ranker ${text}: "${amount}" is no weight; give a number after =.`);
    }
    rankers.push({ name, path: published(name) ?? name, weight, kind: kindOf(name) });
  }
  return rankers;
}

/**
 * An ensemble as DialogRPT's `restore/ensemble.yml` (`JointScorer.load` of its model.py): lists
 * `prior` and `cond` of rankers with `name`, `wt` and `path`. A path is looked for beside the file
 * and in the current folder, as DialogRPT does; where there is none, one of DialogRPT's own rankers
 * is taken from the hub by its name.
 */
export async function readEnsemble(path: string): Promise<NamedRanker[]> {
  let value: unknown;
  try {
    // Loaded here, as hardly any program needs it.
    const { parse } = await import('yaml');
    value = parse(await readText(path));
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`${path}: this is not valid YAML (${messageOf(error)}); mend the file.`, {
      cause: error,
    });
  }
  const parsed = ensembleSchema.safeParse(value);
  if (!parsed.success) {
    throw new UserError(
      `${path}: this is no ensemble; expected lists prior and cond of rankers, each with name, wt and path.`,
    );
  }
  const rankers: NamedRanker[] = [];
  for (const kind of ['prior', 'cond'] as const) {
    for (const { name, wt, path: model } of parsed.data[kind] ?? []) {
      rankers.push({ name, weight: wt, kind, path: await findMember(path, name, model) });
    }
  }
  return rankers;
}

async function findMember(file: string, name: string, model: string): Promise<string> {
  if (isAbsolute(model)) return model;
  const beside = join(dirname(file), model);
  if (await exists(beside)) return beside;
  if (await exists(model)) return model;
  return published(name) ?? model;
}

/** The name on the hub of one of DialogRPT's rankers, with `-` or `_` between its words. */
function published(name: string): string | undefined {
  const plain = name.replaceAll('_', '-');
  return PUBLISHED.has(plain) ? `microsoft/DialogRPT-${plain}` : undefined;
}

function kindOf(name: string): 'prior' | 'cond' {
  return PUBLISHED.get(name.replaceAll('_', '-')) ?? 'cond';
}
