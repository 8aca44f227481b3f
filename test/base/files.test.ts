import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { UserError } from '../../src/base/errors.js';
import {
  exists,
  makeFolder,
  readJson,
  readLines,
  writeAll,
  writeFileWhole,
  writeFolderWhole,
} from '../../src/base/files.js';
import { temporaryFolder } from '../support/files.js';
import { fc } from '../support/properties.js';

const noSpace = Object.assign(new Error('ENOSPC: no space left on device, write'), {
  code: 'ENOSPC',
});

describe('writeFileWhole', () => {
  it('writes text, bytes and what a function writes, and makes missing folders', async (context) => {
    const folder = await temporaryFolder(context);
    const path = join(folder, 'new', 'deep', 'file');
    await writeFileWhole(path, 'täxt');
    assert.equal(await readFile(path, 'utf8'), 'täxt');
    await writeFileWhole(path, Uint8Array.of(1, 2, 255));
    assert.deepEqual([...(await readFile(path))], [1, 2, 255]);
    await writeFileWhole(path, async (file) => {
      await writeAll(file, Buffer.from('two '));
      await writeAll(file, Buffer.from('parts'));
    });
    assert.equal(await readFile(path, 'utf8'), 'two parts');
    assert.deepEqual(await readdir(join(folder, 'new', 'deep')), ['file']);
  });

  it('leaves the old file and nothing else when it fails', async (context) => {
    const folder = await temporaryFolder(context);
    const path = join(folder, 'file');
    await writeFileWhole(path, 'old');
    const fails = writeFileWhole(path, async (file) => {
      await writeAll(file, Buffer.from('half of the new'));
      throw noSpace;
    });
    await assert.rejects(fails, (error: unknown) => {
      assert.ok(error instanceof UserError);
      assert.equal(
        error.message,
        `${path}: no space left on the device; free some and run the same command again.`,
      );
      return true;
    });
    assert.equal(await readFile(path, 'utf8'), 'old');
    assert.deepEqual(await readdir(folder), ['file']);
  });

  it('passes on errors that are not of the file system', async (context) => {
    const folder = await temporaryFolder(context);
    const fault = new TypeError('a fault of ours');
    await assert.rejects(
      writeFileWhole(join(folder, 'file'), () => Promise.reject(fault)),
      fault,
    );
    assert.deepEqual(await readdir(folder), []);
  });

  it('says where a path leads through a file, or to a folder', async (context) => {
    const folder = await temporaryFolder(context);
    await writeFile(join(folder, 'file'), '');
    await assert.rejects(writeFileWhole(join(folder, 'file', 'x'), ''), UserError);
    await mkdir(join(folder, 'folder', 'inner'), { recursive: true });
    await assert.rejects(writeFileWhole(join(folder, 'folder'), ''), UserError);
    assert.deepEqual((await readdir(folder)).sort(), ['file', 'folder']);
  });
});

describe('writeFolderWhole', () => {
  const fill = (text: string) => (folder: string) => writeFile(join(folder, text), text);

  it('takes the place of an older folder, files that are no more included', async (context) => {
    const folder = await temporaryFolder(context);
    const path = join(folder, 'set');
    await writeFolderWhole(path, fill('first'));
    assert.deepEqual(await readdir(path), ['first']);
    await writeFolderWhole(path, fill('second'));
    assert.deepEqual(await readdir(path), ['second']);
    assert.deepEqual(await readdir(folder), ['set']);
  });

  it('leaves the old folder and nothing else when it fails', async (context) => {
    const folder = await temporaryFolder(context);
    const path = join(folder, 'set');
    await writeFolderWhole(path, fill('first'));
    await assert.rejects(
      writeFolderWhole(path, async (partial) => {
        await fill('second')(partial);
        throw noSpace;
      }),
      UserError,
    );
    assert.deepEqual(await readdir(path), ['first']);
    assert.deepEqual(await readdir(folder), ['set']);
  });

  it('leaves nothing at all where nothing was', async (context) => {
    const folder = await temporaryFolder(context);
    await assert.rejects(writeFolderWhole(join(folder, 'set'), () => Promise.reject(noSpace)));
    assert.deepEqual(await readdir(folder), []);
  });
});

describe('readLines', () => {
  async function linesOf(path: string): Promise<string[]> {
    const lines: string[] = [];
    for await (const { text, number } of readLines(path)) {
      lines.push(text);
      assert.equal(number, lines.length);
    }
    return lines;
  }

  it('ends lines as Python does and nowhere else', async (context) => {
    const path = join(await temporaryFolder(context), 'file');
    const cases: readonly (readonly [string, readonly string[]])[] = [
      ['', []],
      ['a', ['a']],
      ['a\n', ['a']],
      ['a\r\nb\rc\nd', ['a', 'b', 'c', 'd']],
      ['a\r', ['a']],
      ['a\r\r', ['a', '']],
      ['\r\r\n\n', ['', '', '']],
      ['\uFEFFa\n\uFEFFb', ['a', '\uFEFFb']],
      ['\uFEFF', []],
      ['a\u2028b\u2029c\u0085d\u000be\u000cf\n', ['a\u2028b\u2029c\u0085d\u000be\u000cf']],
    ];
    for (const [text, lines] of cases) {
      await writeFile(path, text);
      assert.deepEqual(await linesOf(path), lines, JSON.stringify(text));
    }
  });

  it('reads across the borders of its pieces, of 256 KiB each', async (context) => {
    const path = join(await temporaryFolder(context), 'file');
    const piece = 1 << 18;
    // The line end, or a character of four bytes, lies across the border.
    for (const [ending, count] of [
      ['\r\n', piece - 1],
      ['\r', piece - 1],
      ['\n', piece - 1],
      ['😀\r\n', piece - 2],
    ] as const) {
      const lines = ['x'.repeat(count) + ending.slice(0, -2).replace(/\r|\n/g, ''), 'next', 'last'];
      const end = ending.endsWith('\r\n') ? '\r\n' : ending;
      await writeFile(path, lines.join(end));
      assert.deepEqual(await linesOf(path), lines);
    }
  });

  it('gives back whatever lines were written', async (context) => {
    const path = join(await temporaryFolder(context), 'file');
    const line = fc
      .string({ unit: fc.constantFrom('a', 'é', '😀', ' ', '\t', '\u2028', '\u0085') })
      .filter((text) => text !== '');
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(line, fc.constantFrom('\n', '\r\n', '\r'))),
        async (lines) => {
          await writeFile(path, lines.flat().join(''));
          assert.deepEqual(
            await linesOf(path),
            lines.map(([text]) => text),
          );
        },
      ),
      { numRuns: 50 },
    );
  });

  it('names a file that is not there, and a folder', async (context) => {
    const folder = await temporaryFolder(context);
    const missing = join(folder, 'missing');
    await assert.rejects(linesOf(missing), {
      name: 'UserError',
      message: `${missing}: no such file or folder; check the path.`,
    });
    await assert.rejects(linesOf(folder), {
      name: 'UserError',
      message: `${folder}: this is a folder; give a file.`,
    });
  });
});

describe('readJson', () => {
  it('names a file that is not JSON', async (context) => {
    const path = join(await temporaryFolder(context), 'file.json');
    await writeFile(path, '{"a": ');
    await assert.rejects(readJson(path), (error: unknown) => {
      assert.ok(error instanceof UserError);
      assert.ok(error.message.startsWith(`${path}: this is not valid JSON (`));
      return true;
    });
    await writeFile(path, '{"a": [1]}');
    assert.deepEqual(await readJson(path), { a: [1] });
    assert.equal(await exists(path), true);
    assert.equal(await exists(`${path}x`), false);
  });
});

describe('makeFolder', () => {
  it('makes a folder and what is missing above it', async (context) => {
    const path = join(await temporaryFolder(context), 'a', 'b', 'c');
    await makeFolder(path);
    await makeFolder(path);
    assert.deepEqual(await readdir(path), []);
  });

  it('says that a file system is read-only, not that the path is missing', async (context) => {
    const place = join(await temporaryFolder(context), 'place');
    await mkdir(place);
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'ro,size=1m', 'tmpfs', place]);
    if (mounted.status !== 0) {
      context.skip('no file system can be mounted here');
      return;
    }
    try {
      const path = join(place, 'run', 'dataset', 'file');
      await assert.rejects(writeFileWhole(path, 'text'), /the file system is read-only/);
    } finally {
      spawnSync('umount', [place]);
    }
  });
});
