import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { UserError } from '../../src/base/errors.js';
import { readDecompressed } from '../../src/corpus/decompress.js';
import { ZstdError } from '../../src/corpus/zstd/bits.js';
import { decodeZstd } from '../../src/corpus/zstd/decode.js';
import { golden, temporaryFolder } from '../support/files.js';

async function read(path: string, commands: boolean): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of readDecompressed(path, { commands })) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function decode(bytes: Uint8Array, pieceLength = 1000): Promise<Buffer> {
  async function* cut(): AsyncGenerator<Uint8Array, void, undefined> {
    for (let start = 0; start < bytes.length; start += pieceLength) {
      yield await Promise.resolve(bytes.subarray(start, start + pieceLength));
    }
  }
  const pieces: Uint8Array[] = [];
  for await (const piece of decodeZstd(cut())) pieces.push(piece);
  return Buffer.concat(pieces);
}

const formats = ['zst', 'xz', 'bz2'] as const;
const sha1 = (bytes: Uint8Array): string => createHash('sha1').update(bytes).digest('hex');

describe('readDecompressed', () => {
  it('reads every format alike, with and without the commands, one file or several in one', async (context) => {
    const folder = await temporaryFolder(context);
    const plain = await read(golden('corpus', 'sample.zst'), false);
    assert.equal(plain.length, 30_000);
    const compressed = new Map<string, Uint8Array>([
      ['none', plain],
      ['gz', gzipSync(plain)],
    ]);
    for (const format of formats) {
      compressed.set(format, await readFile(golden('corpus', `sample.${format}`)));
    }
    for (const [format, bytes] of compressed) {
      const path = join(folder, 'twice');
      await writeFile(path, Buffer.concat([bytes, bytes]));
      for (const commands of [false, true]) {
        assert.equal(sha1(await read(path, commands)), sha1(Buffer.concat([plain, plain])), format);
      }
    }
    await writeFile(join(folder, 'empty'), '');
    assert.equal((await read(join(folder, 'empty'), true)).length, 0);
  });

  it('names the byte where a file is cut off or damaged', async (context) => {
    const path = join(await temporaryFolder(context), 'cut');
    for (const format of formats) {
      const bytes = await readFile(golden('corpus', `sample.${format}`));
      const damaged = Buffer.from(bytes);
      damaged.fill(0x55, 2000, 2010);
      for (const wrong of [bytes.subarray(0, 3000), damaged]) {
        await writeFile(path, wrong);
        for (const commands of [false, true]) {
          await assert.rejects(read(path, commands), (error) => {
            assert.ok(error instanceof UserError);
            assert.ok(error.message.startsWith(`${path}: `), error.message);
            assert.match(error.message, new RegExp(`\\b${wrong.length}\\b`));
            return true;
          });
        }
      }
    }
    await assert.rejects(read(`${path}.none`, false), /no such file/);
  });
});

describe('decodeZstd', () => {
  it('follows matches across 20 MB, and shifts a small window', async () => {
    const block = Array.from({ length: 3000 }, (_, index) =>
      ((BigInt(index) * 2654435761n) % 2n ** 32n).toString(16).padStart(8, '0'),
    ).join('');
    const far = await decode(await readFile(golden('corpus', 'far.zst')));
    assert.equal(sha1(far), sha1(Buffer.from(block + 'a'.repeat(20_000_000) + block)));
    const near = await decode(await readFile(golden('corpus', 'near.zst')));
    const numbers = Array.from({ length: 600_000 }, (_, index) => `${index % 1000} `).join('');
    assert.equal(sha1(near), sha1(Buffer.from(numbers)));
  });

  it('takes the bytes in any pieces', async () => {
    const bytes = await readFile(golden('corpus', 'sample.zst'));
    assert.equal(sha1(await decode(bytes, 1)), sha1(await decode(bytes, 1e6)));
  });

  it('notices any damage', async () => {
    const bytes = await readFile(golden('corpus', 'sample.zst'));
    const content = sha1(await decode(bytes));
    const position = fc.nat(bytes.length - 1);
    await fc.assert(
      fc.asyncProperty(position, fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const damaged = Buffer.from(bytes);
        damaged[at] = (damaged[at] ?? 0) ^ flip;
        // Some bits mean nothing; no damage may pass as other content.
        const result = await decode(damaged).catch((error: unknown) => error);
        if (result instanceof Buffer) assert.equal(sha1(result), content);
        else assert.ok(result instanceof ZstdError, String(result));
      }),
      { numRuns: 300 },
    );
    await fc.assert(
      fc.asyncProperty(position, async (length) => {
        if (length > 0) await assert.rejects(decode(bytes.subarray(0, length)), ZstdError);
      }),
      { numRuns: 100 },
    );
  });
});
