import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { repeatedKey } from '../../src/checkpoint/repeated-key.js';

describe('repeatedKey', () => {
  it('finds nothing in what JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        assert.equal(repeatedKey(JSON.stringify(value)), undefined);
      }),
    );
  });

  it('finds a repeated key at any depth, however it is escaped', () => {
    assert.equal(repeatedKey('{"a":1,"b":2,"a":3}'), 'a');
    assert.equal(repeatedKey('{"a":1,"\\u0061":3}'), 'a');
    assert.equal(repeatedKey('{"x":[{"a\\"":{}, "b":":{", "a\\"":1}]}'), 'a"');
    assert.equal(repeatedKey('{"a":{"a":{"a":1}},"b":["a","a"]}'), undefined);
  });
});
