import assert from 'node:assert/strict';

/** What the test knows to be there. */
export function given<T>(value: T | undefined): T {
  assert.ok(value !== undefined);
  return value;
}
