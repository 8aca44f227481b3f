import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { onFirstUse, type Reranker } from '../../src/decoding/rerank.js';

/** Counts what is done with it. */
class Counted implements Reranker {
  disposed = 0;

  score(_: readonly string[], responses: readonly string[]): Promise<readonly { final: number }[]> {
    return Promise.resolve(responses.map(({ length }) => ({ final: length })));
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.disposed++;
    return Promise.resolve();
  }
}

describe('onFirstUse', () => {
  it('loads once, when it is first asked, and frees what it has loaded', async () => {
    const counted = new Counted();
    let loads = 0;
    const lazy = onFirstUse(() => {
      loads++;
      return Promise.resolve(counted);
    });
    assert.equal(loads, 0);
    const both = [lazy.score(['Hi'], ['a', 'abc']), lazy.score(['Hi'], ['ab'])];
    assert.deepEqual(await Promise.all(both), [[{ final: 1 }, { final: 3 }], [{ final: 2 }]]);
    assert.equal(loads, 1);
    await lazy[Symbol.asyncDispose]();
    assert.equal(counted.disposed, 1);
  });

  it('loads nothing to be freed, and says each time why it cannot be loaded', async () => {
    let loads = 0;
    const lazy = onFirstUse(() => {
      loads++;
      return Promise.reject(new Error('The file is damaged.'));
    });
    await lazy[Symbol.asyncDispose]();
    assert.equal(loads, 0);
    await assert.rejects(lazy.score(['Hi'], ['a']), /damaged/);
    await assert.rejects(lazy.score(['Hi'], ['a']), /damaged/);
    await lazy[Symbol.asyncDispose]();
  });
});
