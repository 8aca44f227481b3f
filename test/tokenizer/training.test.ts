import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { z } from 'zod';
import {
  loadTokenizer,
  saveVocabulary,
  Tokenizer,
  trainVocabulary,
} from '../../src/tokenizer/index.js';
import { mergesOf } from '../../src/tokenizer/vocabulary.js';
import { golden, temporaryFolder } from '../support/files.js';
import { goldenJson } from '../support/golden.js';
import { fc } from '../support/properties.js';

const trainedSchema = z.object({
  merges: z.array(z.string()),
  cases: z.array(z.tuple([z.string(), z.array(z.number())])),
});

async function trainingLines(): Promise<string[]> {
  const written = await readFile(golden('tokenizer', 'training-text.txt'), 'utf8');
  return written.split('\n').slice(0, -1);
}

describe('trainVocabulary', () => {
  it("learns the merges that Hugging Face's trainer learns, and gives its ids", async () => {
    const { merges, cases } = await goldenJson(trainedSchema, 'tokenizer', 'trained.json');
    const vocabulary = trainVocabulary(await trainingLines(), 400);
    assert.deepEqual(
      mergesOf(vocabulary).map((merge) => merge.join(' ')),
      merges,
    );
    const tokenizer = new Tokenizer(vocabulary);
    for (const [text, ids] of cases) {
      assert.deepEqual(tokenizer.encode(text), ids, JSON.stringify(text));
    }
  });

  it('writes files that load again, with the same ids for everything', async (context) => {
    const folder = await temporaryFolder(context);
    const tokenizer = new Tokenizer(trainVocabulary(await trainingLines(), 320));
    assert.equal(tokenizer.size, 320);
    await saveVocabulary(folder, tokenizer.vocabulary, 64);
    const loaded = await loadTokenizer(folder);
    assert.deepEqual(loaded.vocabulary, tokenizer.vocabulary);
    assert.equal(loaded.endOfText, 319);
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const ids = tokenizer.encode(text);
        assert.deepEqual(loaded.encode(text), ids);
        assert.equal(loaded.decode(ids), text.toWellFormed());
      }),
    );
  });

  it('depends on how often words occur alone, not on their order', async () => {
    const lines = await trainingLines();
    const forwards = trainVocabulary(lines, 330);
    assert.deepEqual(trainVocabulary(lines, 330), forwards);
    assert.deepEqual(trainVocabulary(lines.toReversed(), 330), forwards);
  });

  it('ends early where no pair occurs twice, and needs room for all bytes', () => {
    assert.equal(trainVocabulary(['abcd'], 300).tokens.length, 256);
    assert.equal(trainVocabulary(['abab'], 300).tokens.length, 257);
    assert.equal(trainVocabulary([], 257).tokens.length, 256);
    assert.throws(() => trainVocabulary([], 256), RangeError);
  });

  it('makes merges that lead to every token it learnt, for any texts', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'é', ' ') })), (texts) => {
        const vocabulary = trainVocabulary(texts, 280);
        const merges = mergesOf(vocabulary);
        const learnt = vocabulary.tokens.slice(256);
        assert.equal(merges.length, learnt.length);
        const tokenizer = new Tokenizer(vocabulary);
        for (const text of texts) assert.equal(tokenizer.decode(tokenizer.encode(text)), text);
      }),
    );
  });
});
