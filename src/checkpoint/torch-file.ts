import { z } from 'zod';
import { UserError } from '../base/errors.js';
import { type ByteReader, type ByteSource } from './byte-source.js';
import { fileSource } from './file-source.js';
import { PickleEndsEarly, unpickle } from './pickle.js';
import { elementCount, storedTensor, type TensorSource } from './tensor-source.js';
import { namedTensors, type TorchStorage, torchRules, type TorchTensor } from './torch-objects.js';
import { readZipDirectory, type ZipEntry, zipContentPosition } from './zip-directory.js';

/** The largest pickle that is read, in bytes: a hundred times that of any GPT-2. */
const LARGEST_PICKLE = 20_000_000;
/** How often the tensors may share a file's numbers: a tied head and its embedding do so twice. */
const MOST_SHARING = 4;
/** The first number of a legacy file (PyTorch's `serialization.py`, `MAGIC_NUMBER`). */
const LEGACY_MAGIC = 0x1950a86a20f9469cfc6cn;
const LEGACY_PROTOCOL = 1001;

/** The unpickled object and where each storage's numbers lie in the file. */
interface TorchContent {
  readonly value: unknown;
  locate(storage: TorchStorage): Promise<StorageRun>;
}

/** A stretch of the file: position and length in bytes. */
interface StorageRun {
  readonly position: number;
  readonly bytes: number;
}

/**
 * The tensors of a file that `torch.save` wrote, in the zip format (PyTorch 1.6 and later) or the
 * legacy one. The pickle inside is read by an allow-list: tensors and plain containers, nothing
 * else, and nothing is executed. Numbers are read only by {@link TensorSource.readInto}.
 *
 * @throws UserError naming what is refused, or the byte or entry that is damaged.
 */
export function openTorchFile(path: string): Promise<Map<string, TensorSource>> {
  return torchTensorsFrom(fileSource(path));
}

/** As {@link openTorchFile}, from any bytes. */
export async function torchTensorsFrom(source: ByteSource): Promise<Map<string, TensorSource>> {
  return source(async (reader) => {
    const { path, size } = reader;
    const start = new Uint8Array(Math.min(4, size));
    await reader.read(0, start);
    const isZip = Buffer.from(start).equals(Buffer.from('PK\x03\x04'));
    const content = await (isZip ? openZip(reader) : openLegacy(reader));
    const sources = new Map<string, TensorSource>();
    let bytes = 0;
    for (const [name, tensor] of namedTensors(path, content.value)) {
      const { storage, shape, strides } = tensor;
      const run = await content.locate(storage);
      checkStorage(path, name, tensor, run);
      bytes += elementCount(shape) * storage.elementBytes;
      if (bytes > MOST_SHARING * size) {
        throw new UserError(
          `${path}: tensor "${name}" and those before it would take more than ${MOST_SHARING} times the file's size; this is no file of weights.`,
        );
      }
      sources.set(
        name,
        storedTensor({
          source,
          origin: `${path}: tensor "${name}"`,
          dtype: storage.dtype,
          shape,
          strides,
          position: run.position + (storage.start + tensor.offset) * storage.elementBytes,
        }),
      );
    }
    return sources;
  });
}

function checkStorage(path: string, name: string, tensor: TorchTensor, run: StorageRun): void {
  const { storage } = tensor;
  const needed = (storage.start + storage.count) * storage.elementBytes;
  if (needed > run.bytes) {
    throw new UserError(
      `${path}: tensor "${name}" needs ${needed} bytes of storage "${storage.key}", which has ${run.bytes}; the file is damaged, so get it again.`,
    );
  }
}

async function openZip(reader: ByteReader): Promise<TorchContent> {
  const { path } = reader;
  const entries = await readZipDirectory(reader);
  const pickle = [...entries.values()].find(({ name }) => /^[^/]+\/data\.pkl$/.test(name));
  if (pickle === undefined) {
    throw new UserError(
      `${path}: this zip archive holds no data.pkl, so torch.save did not write it; give a PyTorch or safetensors file.`,
    );
  }
  const folder = pickle.name.slice(0, -'data.pkl'.length);
  const order = entries.get(`${folder}byteorder`);
  const content = async (entry: ZipEntry): Promise<Uint8Array> => {
    if (entry.size > LARGEST_PICKLE) {
      throw new UserError(
        `${path}: entry "${entry.name}" has ${entry.size} bytes, over the limit of ${LARGEST_PICKLE}; this is no file of weights.`,
      );
    }
    const bytes = new Uint8Array(entry.size);
    await reader.read(await zipContentPosition(reader, entry), bytes);
    return bytes;
  };
  if (order !== undefined && Buffer.from(await content(order)).toString() !== 'little') {
    throw bigEndian(path);
  }
  const { value } = unpickle(await content(pickle), 0, torchRules([]), `${path}: data.pkl: byte`);
  const locate = async ({ key }: TorchStorage): Promise<StorageRun> => {
    const entry = entries.get(`${folder}data/${key}`);
    if (entry === undefined) {
      throw new UserError(`${path}: storage "${key}" is missing; the file is damaged.`);
    }
    return { position: await zipContentPosition(reader, entry), bytes: entry.size };
  };
  return { value, locate };
}

function bigEndian(path: string): UserError {
  return new UserError(
    `${path}: the numbers are stored big end first; save the model again on a usual machine.`,
  );
}

/**
 * The legacy format: four pickles (a magic number, a protocol number, facts of the system, the
 * object), a fifth with the storages' keys, then for each storage its length and its numbers.
 */
async function openLegacy(reader: ByteReader): Promise<TorchContent> {
  const { path } = reader;
  const pickles = await readLegacyPickles(reader);
  const runs = await findLegacyStorages(reader, pickles);
  const locate = ({ key }: TorchStorage): Promise<StorageRun> => {
    const run = runs.get(key);
    if (run === undefined) {
      throw new UserError(`${path}: storage "${key}" is missing; the file is damaged.`);
    }
    return Promise.resolve(run);
  };
  return { value: pickles.value, locate };
}

interface LegacyPickles {
  readonly value: unknown;
  /** The storages that the value refers to. */
  readonly storages: readonly TorchStorage[];
  /** The keys of the storages in the order in which they follow. */
  readonly keys: readonly string[];
  /** The byte after the last pickle. */
  readonly end: number;
}

/** Reads the pickles from a window at the start of the file that grows until it holds them. */
async function readLegacyPickles({ path, size, read }: ByteReader): Promise<LegacyPickles> {
  for (let length = Math.min(size, 1 << 20); ; length = Math.min(size, length * 4)) {
    const bytes = new Uint8Array(length);
    await read(0, bytes);
    try {
      return parseLegacyPickles(bytes, path);
    } catch (error) {
      const whole = length === size || length >= LARGEST_PICKLE;
      if (!(error instanceof PickleEndsEarly) || whole) throw error;
    }
  }
}

function parseLegacyPickles(bytes: Uint8Array, path: string): LegacyPickles {
  let end = 0;
  const storages: TorchStorage[] = [];
  const next = (): unknown => {
    const pickle = unpickle(bytes, end, torchRules(storages), `${path}: byte`);
    end = pickle.end;
    return pickle.value;
  };
  if (bytes[0] !== 0x80 || next() !== LEGACY_MAGIC) {
    throw new UserError(
      `${path}: the file does not start as PyTorch files do; give a file that torch.save wrote, or safetensors.`,
    );
  }
  const protocol = next();
  if (protocol !== LEGACY_PROTOCOL) {
    throw new UserError(
      `${path}: the legacy format's version is not ${LEGACY_PROTOCOL}; save the model again with a newer PyTorch.`,
    );
  }
  const system = next();
  if (system instanceof Map && system.get('little_endian') === false) throw bigEndian(path);
  const value = next();
  const keys = z.array(z.string()).safeParse(next());
  if (!keys.success) {
    throw new UserError(`${path}: the list of storages is damaged; get the file again.`);
  }
  return { value, storages, keys: keys.data, end };
}

/** Walks the storages, each a 64-bit number of elements and then the elements. */
async function findLegacyStorages(
  { path, size, read }: ByteReader,
  { storages, keys, end }: LegacyPickles,
): Promise<Map<string, StorageRun>> {
  const bytesEach = new Map(storages.map(({ key, elementBytes }) => [key, elementBytes]));
  const runs = new Map<string, StorageRun>();
  let position = end;
  for (const key of keys) {
    const length = new Uint8Array(8);
    await read(position, length);
    const count = Number(new DataView(length.buffer).getBigUint64(0, true));
    const each = bytesEach.get(key);
    if (each === undefined) {
      throw new UserError(
        `${path}: storage "${key}" (byte ${position}) belongs to no tensor; the file is damaged, so get it again.`,
      );
    }
    const bytes = count * each;
    position += 8;
    if (bytes > size - position) {
      throw new UserError(
        `${path}: storage "${key}" should end at byte ${position + bytes}, but the file has only ${size} bytes; it is cut short, so get it again.`,
      );
    }
    runs.set(key, { position, bytes });
    position += bytes;
  }
  return runs;
}
