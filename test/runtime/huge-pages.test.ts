import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { useHugePages } from '../../src/runtime/index.js';

const MEGABYTES = 64;

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
    // The engine may have given some of its memory back since; the array's is most of it.
    const found = await onHugePages();
    assert.ok(found >= bytes / 2 ** 21, `${found} MB lie there, where ${bytes} bytes should`);
    assert.ok(values.every((value, index) => value === index));
  });
});
