import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { readText } from '../../src/base/files.js';
import { Keywords } from '../../src/corpus/keywords.js';
import { normaliseText } from '../../src/corpus/normalise.js';
import { golden } from '../support/files.js';

async function readGolden<T>(name: string, schema: z.ZodType<T>): Promise<T[]> {
  const lines = (await readText(golden('corpus', name))).trimEnd().split('\n');
  return lines.map((line) => schema.parse(JSON.parse(line)));
}

describe('normaliseText', () => {
  it("gives what the original's functions and TweetTokenizer gave", async () => {
    const texts = z.tuple([z.string(), z.string(), z.string()]);
    for (const [text, flat, normal] of await readGolden('normalise.jsonl', texts)) {
      assert.equal(normaliseText(Buffer.from(flat)), normal, JSON.stringify(text));
    }
  });
});

describe('Keywords', () => {
  it('finds what flashtext finds', async () => {
    const cases = z.tuple([z.array(z.string()), z.string(), z.boolean()]);
    for (const [keywords, text, found] of await readGolden('keywords.jsonl', cases)) {
      assert.equal(new Keywords(keywords).foundIn(text), found, JSON.stringify([keywords, text]));
    }
  });
});
