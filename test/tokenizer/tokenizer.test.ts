import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { gpt2Tokenizer, saveVocabulary, type Tokenizer } from '../../src/tokenizer/index.js';
import { sharedData, temporaryFolder } from '../support/files.js';
import { goldenJson } from '../support/golden.js';
import { fc } from '../support/properties.js';

const casesSchema = z.object({ cases: z.array(z.tuple([z.string(), z.array(z.number())])) });

/** Any text, with what tokenizers stumble over: white space, joiners, halves of pairs. */
const text = fc.string({
  unit: fc.oneof(
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
    fc.constantFrom(
      ...Array.from(" \n\t\u00a0\u0085\u3000\ufeff\u200d'sSt9"),
      '\ud83d',
      '\ude00',
      '😀',
      'é',
    ),
  ),
  maxLength: 40,
});

function streamed(tokenizer: Tokenizer, ids: readonly number[]): string {
  const decoder = tokenizer.decoder();
  return ids.map((id) => decoder.push(id)).join('') + decoder.end();
}

describe("GPT-2's tokenizer", () => {
  const tokenizer = gpt2Tokenizer();

  it('gives the ids of tiktoken and transformers', async () => {
    const { cases } = await goldenJson(casesSchema, 'tokenizer', 'gpt2.json');
    assert.ok(cases.length > 300);
    for (const [written, ids] of cases) {
      assert.deepEqual(tokenizer.encode(written), ids, JSON.stringify(written));
      assert.equal(tokenizer.decode(ids), written.toWellFormed());
    }
  });

  it('gives back every text, halves of surrogate pairs as U+FFFD', () => {
    fc.assert(
      fc.property(text, (written) => {
        assert.equal(tokenizer.decode(tokenizer.encode(written)), written.toWellFormed());
      }),
      { numRuns: 500 },
    );
  });

  it('decodes in a stream what it decodes whole, whatever the ids', () => {
    const id = fc.oneof(fc.nat(50256), fc.nat(255));
    fc.assert(
      fc.property(fc.array(id, { maxLength: 20 }), (ids) => {
        assert.equal(streamed(tokenizer, ids), tokenizer.decode(ids));
        const bytes = ids.flatMap((one) => [...tokenizer.bytesOf(one)]);
        assert.equal(tokenizer.decode(ids), Buffer.from(bytes).toString('utf8'));
      }),
    );
  });

  it('streams a character once its last byte is there', () => {
    const ids = tokenizer.encode('😀');
    assert.ok(ids.length > 1);
    const decoder = tokenizer.decoder();
    assert.deepEqual(
      ids.map((id) => decoder.push(id)),
      [...ids.slice(1).map(() => ''), '😀'],
    );
    assert.equal(decoder.end(), '');
    decoder.push(ids[0] ?? 0);
    assert.equal(decoder.end(), '\ufffd');
  });

  it('keeps the end of text apart from text', () => {
    assert.equal(tokenizer.endOfText, 50256);
    assert.equal(tokenizer.size, 50257);
    assert.ok(!tokenizer.encode('<|endoftext|>').includes(50256));
    assert.equal(tokenizer.decode([31373, 50256]), 'hello');
    assert.deepEqual([...tokenizer.bytesOf(50256)], []);
  });

  it("writes GPT-2's published files byte for byte", async (context) => {
    const folder = await temporaryFolder(context);
    await saveVocabulary(folder, tokenizer.vocabulary, 1024);
    const hashes = {
      'vocab.json': '196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783',
      'merges.txt': '1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5',
    };
    for (const [name, hash] of Object.entries(hashes)) {
      const bytes = await readFile(join(folder, name));
      assert.equal(createHash('sha256').update(bytes).digest('hex'), hash, name);
    }
  });

  for (const name of ['vocab.json', 'merges.txt']) {
    const path = sharedData('gpt2', name);
    it(
      `writes the ${name} at hand`,
      { skip: !existsSync(path) && 'needs ../shared/data' },
      async (context) => {
        const folder = await temporaryFolder(context);
        await saveVocabulary(folder, tokenizer.vocabulary, 1024);
        assert.ok((await readFile(join(folder, name))).equals(await readFile(path)));
      },
    );
  }
});
