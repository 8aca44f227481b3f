import assert from 'node:assert/strict';
import { copyFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { UserError } from '../../src/base/errors.js';
import { readJson } from '../../src/base/files.js';
import { loadCheckpointTokenizer } from '../../src/checkpoint/folder.js';
import { loadVocabulary, saveVocabulary, trainVocabulary } from '../../src/tokenizer/index.js';
import { parseTokenizerJson } from '../../src/tokenizer/tokenizer-json.js';
import { golden, temporaryFolder } from '../support/files.js';

/** What transformers 5.24 made of this vocabulary's `vocab.json` and `merges.txt`. */
const trained = trainVocabulary(['low lower lowest new newer newest low low new'], 270);
const written = golden('tokenizer', 'transformers-5', 'tokenizer.json');

const fileSchema = z.looseObject({
  added_tokens: z.array(z.looseObject({ id: z.number() })),
  model: z.looseObject({
    vocab: z.record(z.string(), z.number()),
    merges: z.array(z.tuple([z.string(), z.string()])),
  }),
});

describe('tokenizer.json', () => {
  it('is read where the folder holds no vocab.json or no merges.txt', async (context) => {
    const folder = await temporaryFolder(context);
    await copyFile(written, join(folder, 'tokenizer.json'));
    assert.deepEqual(await loadVocabulary(folder), trained);
    // It must not be taken for a folder without a tokenizer, whose model has GPT-2's.
    assert.equal((await loadCheckpointTokenizer(folder)).size, trained.tokens.length + 1);
    await saveVocabulary(folder, trained, 64);
    await rm(join(folder, 'merges.txt'));
    assert.deepEqual(await loadVocabulary(folder), trained);
  });

  it('goes behind vocab.json and merges.txt', async (context) => {
    const folder = await temporaryFolder(context);
    await saveVocabulary(folder, trained, 64);
    await writeFile(join(folder, 'tokenizer.json'), 'damaged');
    assert.deepEqual(await loadVocabulary(folder), trained);
  });

  it('is read as older versions write it, and with tokens added', async () => {
    const { added_tokens: added, model, ...rest } = fileSchema.parse(await readJson(written));
    const { '<|endoftext|>': end, ...vocab } = model.vocab;
    assert.equal(end, trained.tokens.length);
    const older = {
      ...rest,
      added_tokens: [...added, { id: end + 1, content: '[PAD]' }],
      pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: [{ type: 'ByteLevel', add_prefix_space: false, trim_offsets: true }],
      },
      model: { ...model, vocab, merges: model.merges.map((pair) => pair.join(' ')) },
    };
    assert.deepEqual(parseTokenizerJson(older, 'tokenizer.json'), trained);
  });

  it('says what is not of the kind of GPT-2', async () => {
    const file = fileSchema.parse(await readJson(written));
    const { model } = file;
    const prefixed = { type: 'ByteLevel', add_prefix_space: true, use_regex: true };
    for (const [changed, message] of [
      [{ ...file, model: { ...model, type: 'WordPiece' } }, /model\.type is another/],
      [{ ...file, normalizer: { type: 'NFC' } }, /normalizer is another/],
      [{ ...file, pre_tokenizer: prefixed }, /pre_tokenizer is another/],
      [{ ...file, pre_tokenizer: { type: 'Whitespace' } }, /pre_tokenizer is another/],
      [{ ...file, model: { ...model, merges: model.merges.slice(1) } }, /merge 1 is not the one/],
      [{ ...file, added_tokens: [], model: { ...model, vocab: { a: 0 } } }, /must be the last/],
      [[], /the whole is another/],
    ] as const) {
      assert.throws(
        () => parseTokenizerJson(changed, 't.json'),
        (error) => {
          assert.ok(error instanceof UserError, String(error));
          assert.match(error.message, message);
          return error.message.startsWith('t.json: ');
        },
      );
    }
  });
});
