import { UserError } from '../base/errors.js';
import { elementCount, type TensorSource } from './tensor-source.js';

const HEAD = 'lm_head.weight';
const EMBEDDING = 'transformer.wte.weight';

/**
 * The name that a tensor of a GPT-2 checkpoint has in today's `transformers`, or `undefined` for
 * the causal masks, which are constants and no weights. Settles what is found in the wild: the
 * prefixes of `DataParallel`, `torch.compile` and PyTorch Lightning (`model.`), models saved without their head (no
 * `transformer.`), the head's name in `pytorch_pretrained_bert`, and the endings of OpenAI's own
 * TensorFlow files (`.g`, `.b`, `.w`).
 */
export function standardName(name: string): string | undefined {
  const bare = name
    .replace(/^(?:module\.|_orig_mod\.|model\.)+/, '')
    .replace(/^lm_head\.decoder\./, 'lm_head.')
    .replace(/\.[gw]$/, '.weight')
    .replace(/\.b$/, '.bias');
  if (/\.attn\.(?:bias|masked_bias)$/.test(bare)) return undefined;
  return /^(?:transformer|lm_head|score)\./.test(bare) ? bare : `transformer.${bare}`;
}

/**
 * Brings the tensors of a checkpoint under standard names and checks them against what the model
 * expects. A head that the model ties to the token embedding must equal it and is left out.
 *
 * @param found the tensors under the names of their files.
 * @param expected the shape of each tensor of the model, by `transformers`' names.
 * @param path the checkpoint, for messages.
 * @returns exactly the expected tensors, in their order.
 * @throws UserError listing what is missing, what is unexpected and what has another shape.
 */
export async function sanitize(
  found: ReadonlyMap<string, TensorSource>,
  expected: ReadonlyMap<string, readonly number[]>,
  path: string,
): Promise<Map<string, TensorSource>> {
  const tensors = standardize(found, path);
  const head = tensors.get(HEAD);
  const embedding = tensors.get(EMBEDDING);
  if (head !== undefined && embedding !== undefined && !expected.has(HEAD)) {
    if (!(await haveSameValues(head, embedding))) {
      throw new UserError(
        `${path}: the head ("${HEAD}") differs from the token embedding, but GPT-2 shares one for both; this is another kind of model.`,
      );
    }
    tensors.delete(HEAD);
  }
  const missing = [...expected.keys()].filter((name) => !tensors.has(name));
  const unexpected = [...tensors.keys()].filter((name) => !expected.has(name));
  if (missing.length + unexpected.length > 0) {
    const faults = [listed('missing', missing), listed('unexpected', unexpected)];
    throw new UserError(
      `${path}: the tensors are not this model's: ${faults.filter((text) => text !== '').join('; ')}. ${advice(missing, unexpected)}`,
    );
  }
  const sanitized = new Map<string, TensorSource>();
  const misshapen: string[] = [];
  for (const [name, shape] of expected) {
    const source = tensors.get(name);
    if (source === undefined) continue;
    if (!isSameShape(source.shape, shape)) {
      misshapen.push(`${name} is [${source.shape.join(', ')}] instead of [${shape.join(', ')}]`);
    }
    sanitized.set(name, source);
  }
  if (misshapen.length > 0) {
    throw new UserError(
      `${path}: the tensors have other shapes than config.json says: ${shortened(misshapen)}; use the config.json that belongs to these weights.`,
    );
  }
  return sanitized;
}

/** The tensors under their standard names, without the masks. */
export function standardize(
  found: ReadonlyMap<string, TensorSource>,
  path: string,
): Map<string, TensorSource> {
  const tensors = new Map<string, TensorSource>();
  for (const [given, source] of found) {
    const name = standardName(given);
    if (name === undefined) continue;
    if (tensors.has(name)) {
      throw new UserError(
        `${path}: two tensors stand for "${name}", one of them "${given}"; save the model again with unique names.`,
      );
    }
    tensors.set(name, source);
  }
  return tensors;
}

/** Dimensions of size 1 are ignored: OpenAI's files have one more in front. */
function isSameShape(found: readonly number[], expected: readonly number[]): boolean {
  const significant = (shape: readonly number[]): string =>
    shape.filter((size) => size !== 1).join(' ');
  return significant(found) === significant(expected);
}

function listed(label: string, names: readonly string[]): string {
  return names.length === 0 ? '' : `${label} ${names.length}: ${shortened(names)}`;
}

function shortened(items: readonly string[], most = 6): string {
  const rest = items.length - most;
  return items.slice(0, most).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}

function advice(missing: readonly string[], unexpected: readonly string[]): string {
  if (missing.length === 0 && unexpected.every((name) => name.startsWith('score.'))) {
    return 'This is a ranking model; give it where a ranker is asked for.';
  }
  if (unexpected.length === 0 && missing.every((name) => name.startsWith('score.'))) {
    return 'This is a language model; a ranking model is asked for.';
  }
  return 'Check that config.json belongs to these weights and that the model is a GPT-2.';
}

/** Compares values in pieces, so that no second copy of a large tensor is made. */
async function haveSameValues(one: TensorSource, other: TensorSource): Promise<boolean> {
  if (!isSameShape(one.shape, other.shape)) return false;
  const count = elementCount(one.shape);
  const size = Math.min(count, 1 << 20);
  const left = new Float32Array(size);
  const right = new Float32Array(size);
  for (let start = 0; start < count; start += size) {
    const length = Math.min(size, count - start);
    await one.readInto(left.subarray(0, length), start);
    await other.readInto(right.subarray(0, length), start);
    for (let index = 0; index < length; index++) {
      if (left[index] !== right[index]) return false;
    }
  }
  return true;
}
