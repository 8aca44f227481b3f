import { spawn } from 'node:child_process';
import { accessSync, constants, createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { delimiter, join } from 'node:path';
import { PassThrough, Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import zlib from 'node:zlib';
import { Decompress as ZstdDecoder } from 'fzstd';
import unbzip2 from 'unbzip2-stream';
import xz from 'xz-decompress';
import { explainFileError, messageOf, UserError, withFileErrors } from '../base/errors.js';

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
 * faster; zstd's decoder inside Node.js ≥ 22.15 comes next, then the libraries.
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
      return zstdOfNode() ?? decodeZstd;
    case 'xz':
      return decodeXz;
    case 'bz2':
      return (compressed) => through(compressed, new PassThrough().wrap(compressed.pipe(unbzip2())));
    case 'gz':
      return (compressed) => through(compressed, compressed.pipe(zlib.createGunzip()));
    case 'none':
      return (compressed) => compressed;
  }
}
