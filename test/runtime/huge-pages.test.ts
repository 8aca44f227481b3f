import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { useHugePages } from '../../src/runtime/index.js';

const MEGABYTES = 64;
const RUNTIME = new URL('../../src/runtime/index.js', import.meta.url).href;

/** How much of this process's memory lies on large pages (MB). */
async function onHugePages(): Promise<number> {
  const text = await readFile('/proc/self/smaps_rollup', 'utf8');
  return Number(/^AnonHugePages:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) / 1024;
}

describe('useHugePages', () => {
  it('lays what is filled on large pages, and leaves it as it was', async (context) => {
    const values = new Uint32Array((MEGABYTES << 20) / 4).map((_, index) => index);
    const bytes = await useHugePages();
    if (bytes === 0) {
      context.skip('this system lays no memory on large pages when asked');
      return;
    }
    // The array need not begin where a large page may.
    const least = MEGABYTES - 4;
    assert.ok(bytes >= least << 20, `${bytes} bytes`);
    assert.ok((await onHugePages()) >= least);
    assert.ok(values.every((value, index) => value === index));
  });

  it('keeps no program from ending where it goes on beside it', async (context) => {
    if (process.platform !== 'linux') {
      context.skip('only Linux is asked for large pages');
      return;
    }
    const program = `
      const { useHugePages } = await import(${JSON.stringify(RUNTIME)});
      const values = new Uint8Array(${MEGABYTES << 20}).fill(1);
      void useHugePages({ background: true }).then(() => console.log('to its end', values[0]));`;
    const words = ['--input-type=module', '--eval', program];
    const { stdout } = await promisify(execFile)(process.execPath, words);
    assert.equal(stdout, '');
  });
});
