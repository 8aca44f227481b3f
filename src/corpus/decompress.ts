import { spawn } from 'node:child_process';
import { accessSync, constants, createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { Duplex, Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import zlib from 'node:zlib';
import unbzip2 from 'unbzip2-stream';
import xz from 'xz-decompress';
import { codeOf, explainFileError, messageOf, UserError, withFileErrors } from '../base/errors.js';
import { decodeZstd } from './zstd/decode.js';

/** How a dump is compressed, told from its first bytes, whatever its name. */
export type Compression = 'zst' | 'xz' | 'bz2' | 'gz' | 'none';

/** Compressed bytes are read in pieces of this size. */
const READ_LENGTH = 1 << 18;

export interface DecompressOptions {
  /** Called with the compressed bytes read so far. */
  readonly onProgress?: (compressedBytes: number) => void;
  /** Whether the faster command-line tools may be used where they are installed; true. */
  readonly commands?: boolean;
}

/**
 * The decompressed bytes of a file: zstd (windows up to 2 GiB), xz, bzip2, gzip or plain.
 *
 * zstd, xz and bzip2 run in a process of their own where their command is installed, which is
 * faster; zstd's decoder inside Node.js ≥ 22.15 comes next, then decoders in JavaScript and
 * WebAssembly.
 *
 * @throws UserError that names the byte where the file is cut off or damaged.
 */
export async function* readDecompressed(
  path: string,
  options: DecompressOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const compression = await detectCompression(path);
  const decoder = chooseDecoder(compression, options.commands ?? true);
  const source = createReadStream(path, { highWaterMark: READ_LENGTH });
  let position = 0;
  const counted = new Transform({
    transform(piece: Uint8Array, _encoding, done) {
      position += piece.length;
      options.onProgress?.(position);
      done(null, piece);
    },
  });
  source.on('error', (error) => counted.destroy(error));
  source.pipe(counted);
  try {
    yield* decoder(counted);
  } catch (error) {
    throw await explainDamage(path, position, error);
  } finally {
    source.destroy();
  }
}

/** What a decoder threw, as a sentence: a file that ends too early differs from a damaged one. */
async function explainDamage(path: string, position: number, error: unknown): Promise<unknown> {
  const explained = explainFileError(error, path);
  if (explained !== error) return explained;
  const { size } = await stat(path);
  const reason = messageOf(error).trim().split('\n', 1).join('');
  const cutOff = /unexpected e(nd|of)|premature|truncat|end of (file|input|data|stream)/i;
  return new UserError(
    cutOff.test(reason)
      ? `${path}: the file is cut off: its data goes on after its last byte, ${size}; download it again.`
      : `${path}: the data is damaged at or shortly before byte ${position} of ${size} (${reason}); download the file again.`,
    { cause: error },
  );
}

/** Tells a file's compression from its first bytes. */
export async function detectCompression(path: string): Promise<Compression> {
  return withFileErrors(path, async () => {
    const file = await open(path);
    try {
      const { buffer } = await file.read(Buffer.alloc(6), 0, 6, 0);
      const hex = buffer.toString('hex');
      if (/^28b52ffd|^5[0-9a-f]2a4d18/.test(hex)) return 'zst';
      if (hex === 'fd377a585a00') return 'xz';
      if (hex.startsWith('425a68')) return 'bz2';
      if (hex.startsWith('1f8b')) return 'gz';
      return 'none';
    } finally {
      await file.close();
    }
  });
}

type Decoder = (compressed: Readable) => AsyncIterable<Uint8Array>;

/** The command that decompresses each format from its input to its output. */
const COMMANDS: Readonly<Partial<Record<Compression, readonly [string, ...string[]]>>> = {
  zst: ['zstd', '-dcq', '--long=31', '--memory=2048MB'],
  xz: ['xz', '-dcq'],
  bz2: ['bzip2', '-dcq'],
};

function chooseDecoder(compression: Compression, commands: boolean): Decoder {
  const command = COMMANDS[compression];
  if (commands && command !== undefined && isInstalled(command[0])) {
    return (compressed) => decodeByCommand(command, compressed);
  }
  switch (compression) {
    case 'zst':
      return createNodeZstd === undefined
        ? (compressed) => decodeZstd(toBytes(compressed))
        : piped(createNodeZstd);
    case 'xz':
      return decodeXz;
    case 'bz2':
      return (compressed) => new Readable().wrap(compressed.pipe(unbzip2()));
    case 'gz':
      return piped(() => zlib.createGunzip());
    case 'none':
      return (compressed) => compressed;
  }
}

/** Whether a command is on the PATH. */
function isInstalled(command: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

async function* decodeByCommand(
  [command, ...parameters]: readonly [string, ...string[]],
  compressed: Readable,
): AsyncGenerator<Uint8Array, void, undefined> {
  const child = spawn(command, parameters, { stdio: ['pipe', 'pipe', 'pipe'] });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text));
  const exit = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject).on('close', resolve);
  });
  // A command that gives up closes its input; what it says then counts, not the broken pipe.
  const feeding = pipeline(compressed, child.stdin).catch((error: unknown) =>
    error instanceof Error && codeOf(error) !== 'EPIPE' ? error : undefined,
  );
  try {
    yield* child.stdout;
    const [code, readError] = await Promise.all([exit, feeding]);
    if (readError !== undefined) throw readError;
    if (code !== 0) throw new Error(complaint === '' ? `${command} failed` : complaint);
  } finally {
    child.kill();
  }
}

/** zstd's decoder inside Node.js ≥ 22.15, with windows up to 2 GiB; older ones have none. */
const createNodeZstd = ((): (() => Duplex) | undefined => {
  const create: unknown = Reflect.get(zlib, 'createZstdDecompress');
  const windowLogMax: unknown = Reflect.get(zlib.constants, 'ZSTD_d_windowLogMax');
  if (typeof create !== 'function' || typeof windowLogMax !== 'number') return undefined;
  return () => {
    const decoder: unknown = Reflect.apply(create, zlib, [{ params: { [windowLogMax]: 31 } }]);
    if (decoder instanceof Duplex) return decoder;
    throw new TypeError('createZstdDecompress made no stream');
  };
})();

/** A decoder that is a stream: its input's errors become its own. */
function piped(create: () => Duplex): Decoder {
  return (compressed) => {
    const decoder = create();
    compressed.on('error', (error) => decoder.destroy(error));
    return compressed.pipe(decoder);
  };
}

async function* decodeXz(compressed: Readable): AsyncGenerator<Uint8Array, void, undefined> {
  const input = new ReadableStream<Uint8Array>({
    async start(controller) {
      try {
        for await (const piece of compressed) controller.enqueue(bytesOf(piece));
        controller.close();
      } catch (error) {
        controller.error(error);
      }
    },
  });
  yield* new xz.XzReadableStream(input);
}

async function* toBytes(stream: Readable): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const piece of stream) yield bytesOf(piece);
}

function bytesOf(piece: unknown): Uint8Array {
  if (piece instanceof Uint8Array) return piece;
  throw new TypeError('a stream of bytes gave something else');
}
