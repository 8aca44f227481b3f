import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { at, range, sum } from '../../src/base/arrays.js';
import {
  codeOf,
  explainFileError,
  messageOf,
  UserError,
  withFileErrors,
} from '../../src/base/errors.js';

const systemError = (code: string) => Object.assign(new Error(`${code}: raw text`), { code });

describe('errors', () => {
  it('reads messages and codes of whatever was thrown', () => {
    assert.equal(messageOf(new Error('text')), 'text');
    assert.equal(messageOf('text'), 'text');
    assert.equal(messageOf(undefined), 'undefined');
    assert.equal(codeOf(systemError('ENOENT')), 'ENOENT');
    assert.equal(codeOf(new Error('x')), undefined);
    assert.equal(codeOf({ code: 'ENOENT' }), undefined);
  });

  it('explains system errors about a path in one sentence', () => {
    for (const code of ['ENOENT', 'EACCES', 'EISDIR', 'ENOTDIR', 'ENOSPC', 'EROFS', 'EMFILE']) {
      const cause = systemError(code);
      const explained = explainFileError(cause, '/some/path');
      assert.ok(explained instanceof UserError, code);
      assert.match(explained.message, /^\/some\/path: [^\n]+\.$/);
      assert.doesNotMatch(explained.message, /raw text|E[A-Z]{4}/);
      assert.equal(explained.cause, cause);
    }
  });

  it('leaves other errors, and those already explained, as they are', async () => {
    const fault = new TypeError('fault');
    assert.equal(explainFileError(fault, 'p'), fault);
    const known = new UserError('already clear');
    await assert.rejects(
      withFileErrors('p', () => Promise.reject(known)),
      known,
    );
    assert.equal(await withFileErrors('p', () => Promise.resolve(3)), 3);
  });
});

describe('arrays', () => {
  it('checks indices', () => {
    assert.equal(at([5, 6], 1), 6);
    assert.equal(at(Float32Array.of(0.5), 0), 0.5);
    for (const index of [-1, 2, 0.5, NaN]) {
      assert.throws(() => at([5, 6], index), {
        name: 'RangeError',
        message: `Index ${index} is outside an array of 2 elements.`,
      });
    }
  });

  it('sums and counts', () => {
    assert.equal(sum(Float64Array.of(1, 2, 3.5)), 6.5);
    assert.equal(sum([]), 0);
    assert.deepEqual(range(2, 5), [2, 3, 4]);
    assert.deepEqual(range(5, 2), []);
  });
});
