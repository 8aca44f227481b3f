import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import { type DumpKind, RowReader } from '../../src/corpus/dump-rows.js';
import { KeySet } from '../../src/corpus/key-set.js';
import { pythonInt, pythonSplit, pythonStr, pythonTrimEnd } from '../../src/corpus/python-text.js';
import { RowCursor } from '../../src/corpus/row-cursor.js';
import { golden } from '../support/files.js';

const rules = { maxLen: 8, maxLenType: 'w' } as const;
const reader = new RowReader({ rules, partitions: 3 });

/** The rows of some lines, each as its fields. */
function read(kind: DumpKind, lines: string | Uint8Array, from = reader): unknown[] {
  const { bytes, ...counts } = from.read(kind, new Uint8Array(Buffer.from(lines)));
  const found: unknown[] = [];
  const row = new RowCursor(bytes);
  while (row.next()) {
    assert.equal(row.isComment, kind === 'comments');
    found.push([row.thread, row.second, row.third, row.number, row.text.toString()]);
  }
  assert.equal(found.length, counts.kept);
  return [counts.lines, counts.broken, ...found];
}

/** What the original does with one comment, by JSON.parse and Python's rules alone. */
function expectedOf(line: string): unknown[] {
  const broken = [1, 1];
  const dropped = [1, 0];
  let record: Record<string, unknown>;
  try {
    record = z.record(z.string(), z.unknown()).parse(JSON.parse(line));
  } catch {
    return broken;
  }
  const { id, body, link_id: thread, parent_id: parent, score } = record;
  if (typeof body !== 'string' || typeof thread !== 'string') return broken;
  if (body === '[deleted]' || body.includes('>') || body.includes('&gt;')) return dropped;
  const whole = score === null ? 0 : pythonInt(score);
  // No row holds −0.
  const points = whole === undefined ? undefined : whole + 0;
  const isWhole = id !== undefined && parent !== undefined && 'author' in record;
  if (!isWhole || points === undefined) return broken;
  const flat = body.replaceAll('\\', '').replace(/[\n\r\t]/g, ' ');
  const words = pythonSplit(flat).length;
  if (words < 2) return dropped;
  const keys = [thread, `t1_${pythonStr(id)}`, pythonStr(parent)];
  if (/[\n\r\t]/.test(keys.join(''))) return broken;
  const text = words > rules.maxLen ? '' : pythonTrimEnd(flat);
  // What cannot be UTF-8 is written as U+FFFD.
  return [
    1,
    0,
    [...keys, points, text].map((part) => (typeof part === 'string' ? part.toWellFormed() : part)),
  ];
}

function check(line: string): void {
  if (line.toWellFormed() !== line || /[\n\r]/.test(line) || line === '') return;
  assert.deepEqual(read('comments', line), expectedOf(line), line);
}

const comment = {
  id: 'c1',
  author: 'a',
  parent_id: 't3_s',
  link_id: 't3_s',
  score: 5,
  body: 'a b',
};

describe('RowReader', () => {
  it('keeps what the original keeps of ordinary and odd comments', () => {
    const bodies = [
      'two words',
      'one',
      '[deleted]',
      ' [deleted] ',
      'a > b',
      'a \\u003e b',
      'a &gt; b',
      'a &g\\\\t; b',
      'a & gt; &g &gt b',
      'a\\u0085b\\u2028c',
      'a\u0085b\u3000c\u00a0',
      'naïve “Привет” 😂 \\ud83d\\ude02',
      'half \\ud83d pair \\ude02',
      'tab\\there \\\\back\\/slash \\b\\f\\n\\r ',
      'one two three four five six seven eight',
      'one two three four five six seven eight nine',
      'a text that is longer than sixteen bytes & more',
      '  ',
    ];
    for (const body of bodies) {
      const line = JSON.stringify(comment).replace('"a b"', `"${body}"`);
      check(line);
      check(line.replaceAll(':', ': ').replaceAll(',', ', '));
    }
    const values = [
      'null',
      '""',
      '"12"',
      '" -3 "',
      '1.9',
      '-0',
      '1e3',
      '01',
      '[]',
      '{"a":1}',
      'true',
      '123456789012345',
    ];
    for (const name of Object.keys(comment)) {
      for (const value of values) {
        const line = JSON.stringify({ ...comment, [name]: '@' }).replace('"@"', value);
        check(line);
        check(line.slice(0, -1) + `,"${name}":"x y"}`);
      }
      check(JSON.stringify({ ...comment, [name]: undefined }));
      check(
        JSON.stringify(comment).replace(
          `"${name}"`,
          `"\\u00${name.charCodeAt(0).toString(16)}${name.slice(1)}"`,
        ),
      );
    }
    const ends = ['', ' ', '}', ',', 'x'];
    for (const end of ends) check(`${JSON.stringify(comment)}${end}`);
    for (const line of ['{}', '[]', 'null', '{', '""', ` ${JSON.stringify(comment)}`]) check(line);
    check(
      JSON.stringify({ nested: '@', ...comment }).replace('"@"', '['.repeat(40) + ']'.repeat(40)),
    );
  });

  it('agrees with JSON.parse on any damage to a line', () => {
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
        '>',
        '&gt;',
      ),
    });
    const extra = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 2 }), {
      noNullPrototype: true,
    });
    const body = fc.string({
      unit: fc.constantFrom('a', ' ', 'é', '😂', '\\', '\n', '>', '&', 'gt;', '\u3000', 'word'),
    });
    fc.assert(
      fc.property(extra, body, fc.array(damage, { maxLength: 3 }), (fields, text, damages) => {
        let line = JSON.stringify({ ...fields, ...comment, body: text });
        check(line);
        for (const { at, removed, text: added } of damages) {
          const place = Math.floor(at * line.length);
          line = line.slice(0, place) + added + line.slice(place + removed);
          check(line);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("flattens texts as the original's minimal_norm_sentence", () => {
    const schema = z.tuple([z.string(), z.string(), z.string()]);
    const long = new RowReader({ rules: { maxLen: 1e6, maxLenType: 'c' }, partitions: 1 });
    for (const text of readFileSync(golden('corpus', 'normalise.jsonl'), 'utf8')
      .trimEnd()
      .split('\n')) {
      const [raw, flat] = schema.parse(JSON.parse(text));
      const line = JSON.stringify({ ...comment, body: `x y${raw}` });
      if (/>|&gt;/.test(raw)) continue;
      const expected = ['t3_s', 't1_c1', 't3_s', 5, pythonTrimEnd(`x y${flat}`)];
      assert.deepEqual(read('comments', line, long), [1, 0, expected]);
    }
  });

  it('reads submissions', () => {
    const submission = {
      id: 's',
      score: 1,
      num_comments: 2,
      domain: 'd',
      permalink: '/r/AskUs/comments/s/',
      title: 'A\ttitle ',
    };
    const expected = ['t3_s', 'AskUs', '', 0, 'A title'];
    const one = (changes: object): unknown[] =>
      read('submissions', JSON.stringify({ ...submission, ...changes }));
    assert.deepEqual(one({}), [1, 0, expected]);
    assert.deepEqual(one({ num_comments: '3' }), [1, 0, expected]);
    assert.deepEqual(one({ num_comments: 1, title: null }), [1, 0]);
    assert.deepEqual(one({ permalink: null }), [1, 0, ['t3_s', '', '', 0, 'A title']]);
    assert.deepEqual(one({ permalink: '/r/x' }), [1, 0, ['t3_s', 'x', '', 0, 'A title']]);
    assert.deepEqual(one({ permalink: 'x' }), [1, 0, ['t3_s', '', '', 0, 'A title']]);
    assert.deepEqual(one({ title: '' }), [1, 0, ['t3_s', 'AskUs', '', 0, '']]);
    for (const name of Object.keys(submission))
      assert.deepEqual(one({ [name]: undefined }), [1, 1]);
    const two = `${JSON.stringify(submission)}\r\n\r\n${JSON.stringify({ ...submission, id: 't' })}\n`;
    assert.equal(read('submissions', two)[0], 2);
  });

  it("reads Arctic Shift's lines: sorted keys, UTF-8, more fields, a null score", () => {
    // The fields of its schemas (RC.ts, RS.ts) that pushshift's older dumps lack or type otherwise.
    const shared = {
      _meta: { retrieved_2nd_on: 1700000000, removal_type: 'deleted' },
      all_awardings: [],
      created_utc: '1700000000',
      edited: 1700000000.5,
    };
    const line = JSON.stringify({
      ...shared,
      author: '[deleted]',
      author_created_utc: null,
      author_flair_richtext: [{ e: 'text', t: 'é "x"' }],
      body: 'Grüße — ja “doch”',
      id: 'k1',
      link_id: 't3_z',
      media_metadata: { 'giphy|a': { e: 'AnimatedImage', s: { x: 1, y: 2 } } },
      parent_id: 't1_k0',
      replies: '',
      score: null,
      subreddit: 'x',
    });
    assert.deepEqual(read('comments', line), [
      1,
      0,
      ['t3_z', 't1_k1', 't1_k0', 0, 'Grüße — ja “doch”'],
    ]);
    const post = JSON.stringify({
      ...shared,
      domain: 'self.x',
      id: 'z',
      num_comments: 5,
      permalink: '/r/Größe/comments/z/',
      score: 3,
      title: 'Ünï “x”',
      upvote_ratio: 0.97,
      preview: { images: [{ source: { url: 'u&amp;' } }], enabled: false },
    });
    assert.deepEqual(read('submissions', post), [1, 0, ['t3_z', 'Größe', '', 0, 'Ünï “x”']]);
  });

  it('counts lines that are not UTF-8 as broken, and keeps the others', () => {
    const line = Buffer.from(JSON.stringify(comment));
    const bad = Buffer.concat([line.subarray(0, 20), Buffer.from([0xff]), line.subarray(20)]);
    const block = Buffer.concat([line, Buffer.from('\n'), bad, Buffer.from('\n'), line]);
    assert.deepEqual(read('comments', block).slice(0, 2), [3, 1]);
  });

  it('keeps only comments with a key where keys are given, and sorts rows by partition', () => {
    const keepKeys = KeySet.of(['t3_s\tt1_c1\tdep', 't3_é\tt1_5\tdep']);
    const keyed = new RowReader({ rules, partitions: 3, keepKeys });
    const lines = [
      comment,
      { ...comment, id: 'c2' },
      { ...comment, id: 5, link_id: 't3_é' },
      { body: 'x', link_id: 'y' },
    ];
    const found = read('comments', lines.map((line) => JSON.stringify(line)).join('\n'), keyed);
    assert.deepEqual(found.slice(0, 2), [4, 0]);
    assert.equal(found.length, 4);
    const many = Array.from({ length: 50 }, (_, index) =>
      JSON.stringify({ ...comment, id: `${index}`, link_id: `t3_${index % 7}` }),
    );
    const { bytes, ends } = reader.read('comments', new Uint8Array(Buffer.from(many.join('\n'))));
    assert.equal(ends.at(-1), bytes.length);
    const threads = [...ends].map((end, partition) => {
      const row = new RowCursor(bytes.subarray(partition > 0 ? ends[partition - 1] : 0, end));
      const places = new Map<string, number[]>();
      while (row.next())
        places.set(row.thread, [...(places.get(row.thread) ?? []), Number(row.second.slice(3))]);
      for (const order of places.values())
        assert.deepEqual(
          order,
          [...order].sort((a, b) => a - b),
        );
      return [...places.keys()];
    });
    assert.equal(new Set(threads.flat()).size, 7);
    assert.equal(threads.flat().length, 7);
  });
});
