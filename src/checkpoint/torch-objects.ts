import { z } from 'zod';
import { UserError } from '../base/errors.js';
import { PickleGlobal, type PickleRules } from './pickle.js';

/** Element types under safetensors' names and their sizes in bytes, by PyTorch's storage class. */
const storageTypes: ReadonlyMap<string, readonly [dtype: string, bytes: number]> = new Map([
  ['FloatStorage', ['F32', 4]],
  ['HalfStorage', ['F16', 2]],
  ['BFloat16Storage', ['BF16', 2]],
  ['DoubleStorage', ['F64', 8]],
  ['LongStorage', ['I64', 8]],
  ['IntStorage', ['I32', 4]],
  ['ShortStorage', ['I16', 2]],
  ['CharStorage', ['I8', 1]],
  ['ByteStorage', ['U8', 1]],
  ['BoolStorage', ['BOOL', 1]],
] as const);

/** The classes and functions that may be called, beside the names of storage classes. */
const callable: ReadonlySet<string> = new Set([
  'collections.OrderedDict',
  'torch._utils._rebuild_tensor',
  'torch._utils._rebuild_tensor_v2',
  'torch._utils._rebuild_parameter',
]);

/** A run of numbers in a PyTorch file that tensors are views of. */
export class TorchStorage {
  readonly key: string;
  readonly dtype: string;
  readonly elementBytes: number;
  /** How many elements the pickle says it holds. */
  readonly count: number;
  /** Where it starts in the run called `key`, in elements; not 0 only in very old files. */
  readonly start: number;

  constructor(key: string, type: readonly [string, number], count: number, start: number) {
    this.key = key;
    [this.dtype, this.elementBytes] = type;
    this.count = count;
    this.start = start;
  }
}

/** A tensor of a PyTorch file: a view of a storage. All measures are in elements. */
export class TorchTensor {
  readonly storage: TorchStorage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];

  constructor(
    storage: TorchStorage,
    offset: number,
    shape: readonly number[],
    strides: readonly number[],
  ) {
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }
}

const wholeNumber = z.number().int().nonnegative();
const sizes = z.array(wholeNumber).max(64);
const tensorArguments = z
  .tuple([z.instanceof(TorchStorage), wholeNumber, sizes, sizes])
  .rest(z.unknown());
const parameterArguments = z.tuple([z.instanceof(TorchTensor)]).rest(z.unknown());
/** A storage of another storage, as PyTorch before 0.4 wrote them: key, offset, size. */
const storageView = z.tuple([z.unknown(), wholeNumber, wholeNumber]);
const storageId = z
  .tuple([z.literal('storage'), z.instanceof(PickleGlobal), z.string(), z.unknown(), wholeNumber])
  .rest(z.unknown());

/**
 * The allow-list for pickles that `torch.save` writes: ordered dicts, tensors, parameters and
 * the storages they view.
 *
 * @param storages takes every storage that the pickle refers to.
 */
export function torchRules(storages: TorchStorage[]): PickleRules {
  return {
    allows: (name) => callable.has(name) || storageType(name) !== undefined,

    call: (name, values) => {
      switch (name) {
        case 'collections.OrderedDict':
          return orderedDict(values);
        case 'torch._utils._rebuild_parameter':
          return parameterArguments.safeParse(values).data?.[0];
        case 'torch._utils._rebuild_tensor':
        case 'torch._utils._rebuild_tensor_v2':
          return rebuildTensor(values);
        default:
          return undefined;
      }
    },

    load: (id) => {
      const storage = storageOf(id);
      if (storage !== undefined) storages.push(storage);
      return storage;
    },
  };
}

/** An empty ordered dict, or one of a list of pairs, as Python 2 wrote them. */
function orderedDict(values: readonly unknown[]): Map<unknown, unknown> | undefined {
  if (values.length === 0) return new Map();
  const pairs = z.tuple([z.array(z.tuple([z.unknown(), z.unknown()]))]).safeParse(values);
  return pairs.success ? new Map(pairs.data[0]) : undefined;
}

function storageOf(id: unknown): TorchStorage | undefined {
  const parsed = storageId.safeParse(id);
  if (!parsed.success) return undefined;
  const [, { name }, key, , count, view] = parsed.data;
  const type = storageType(name);
  if (type === undefined) return undefined;
  if (view === undefined || view === null) return new TorchStorage(key, type, count, 0);
  const part = storageView.safeParse(view).data;
  return part && new TorchStorage(key, type, part[2], part[1]);
}

/** The type behind `torch.HalfStorage`, or `torch.cuda.HalfStorage` saved from a GPU. */
function storageType(name: string): readonly [string, number] | undefined {
  const match = /^torch\.(?:cuda\.)?(\w+)$/.exec(name);
  return storageTypes.get(match?.[1] ?? '');
}

function rebuildTensor(values: readonly unknown[]): TorchTensor | undefined {
  const parsed = tensorArguments.safeParse(values);
  if (!parsed.success) return undefined;
  const [storage, offset, shape, strides] = parsed.data;
  if (shape.length !== strides.length) return undefined;
  const elements = shape.reduce((product, size) => product * size, 1);
  // A view must stay within its storage. One with more elements than that repeats some; it would
  // take more memory than the file, and no model is saved so.
  const last = shape.reduce((sum, size, index) => sum + (size - 1) * (strides[index] ?? 0), offset);
  const fits = elements === 0 || (last < storage.count && elements <= storage.count);
  return fits ? new TorchTensor(storage, offset, shape, strides) : undefined;
}

/** The names under which training programs keep the weights among other things. */
const nests = ['state_dict', 'model_state_dict', 'model', 'module'];

/**
 * The tensors of an unpickled checkpoint under their names. Values that are not tensors are left
 * out; where no value is a tensor, the weights are looked for under the usual names.
 *
 * @throws UserError where there is no tensor.
 */
export function namedTensors(path: string, value: unknown): Map<string, TorchTensor> {
  const nested: unknown[] =
    value instanceof Map ? nests.map((name): unknown => value.get(name)) : [];
  for (const dict of [value, ...nested]) {
    const tensors = new Map<string, TorchTensor>();
    for (const [name, tensor] of dict instanceof Map ? dict : []) {
      if (typeof name === 'string' && tensor instanceof TorchTensor) tensors.set(name, tensor);
    }
    if (tensors.size > 0) return tensors;
  }
  throw new UserError(
    `${path}: this PyTorch file holds no dict of tensors; save the model's state_dict.`,
  );
}
