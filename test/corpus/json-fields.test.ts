import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { FieldReader } from '../../src/corpus/json-fields.js';

const wanted = ['a', 'body', 'score'];
const reader = new FieldReader(wanted);

/** What a `FieldReader` must say, by JSON.parse alone. */
function expected(line: string): Record<string, unknown> | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const entries: [string, unknown][] = Object.entries(value);
  return Object.fromEntries(entries.filter(([key]) => wanted.includes(key)));
}

function check(line: string): void {
  const bytes = Buffer.from(line);
  const found = reader.read({ bytes, text: (start, end) => bytes.toString('utf8', start, end) });
  const entries = found && Object.entries(found).filter(([key]) => wanted.includes(key));
  assert.deepEqual(entries && Object.fromEntries(entries), expected(line), line);
}

describe('FieldReader', () => {
  it('reads what JSON.parse reads, and refuses what it refuses', () => {
    const lines = [
      '{}',
      '{"a":1}',
      '{"a": "x\\n\\u00e9\\"", "body": [1, {"a": null}], "score":-1.50}',
      '{"a":1,"a":2}',
      '{"\\u0061":1}',
      '{"a":01}',
      '{"a":1e5}',
      '{"a":1.}',
      '{"a":.5}',
      '{"a":-}',
      '{"a":"\\x"}',
      '{"a":"\\u12g4"}',
      '{"a":"\u0001"}',
      '{"a":"b}',
      '{"a":tru}',
      '{"a":1,}',
      '{"a":1}}',
      '{"a":1}{"a":1}',
      '{"a":[1,2,]}',
      '{"a":{"b"}}',
      '{ "a" : 1 }',
      '{"__proto__":{"a":1}}',
      '[{"a":1}]',
      'null',
      '',
      `{"a":${'['.repeat(40)}${']'.repeat(40)}}`,
    ];
    lines.forEach(check);
  });

  it('agrees with JSON.parse on any object and any damage to it', () => {
    const key = fc.constantFrom('a', 'body', 'score', 'b', '"', 'é\n');
    const object = fc.dictionary(key, fc.jsonValue({ maxDepth: 3 }), { noNullPrototype: true });
    const damage = fc.record({
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      removed: fc.nat(3),
      text: fc.constantFrom(
        '',
        '"',
        '\\',
        '}',
        ',',
        ':',
        '0',
        '\\u12',
        ' ',
        '\u0002',
        'é',
        '[',
        '-',
      ),
    });
    fc.assert(
      fc.property(object, fc.array(damage, { maxLength: 3 }), (value, damages) => {
        let line = JSON.stringify(value);
        check(line);
        for (const { at, removed, text } of damages) {
          const place = Math.floor(at * line.length);
          line = line.slice(0, place) + text + line.slice(place + removed);
          check(line);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
