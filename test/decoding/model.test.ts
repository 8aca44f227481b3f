import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { z } from 'zod';
import { UserError } from '../../src/base/errors.js';
import { freshCheckpoint, saveCheckpoint } from '../../src/checkpoint/index.js';
import {
  Decoder,
  DialogModel,
  generateTokens,
  type GenerationOptions,
  loadModel,
  promptTokens,
} from '../../src/decoding/index.js';
import { Tokenizer, trainVocabulary } from '../../src/tokenizer/index.js';

const tokenizer = new Tokenizer(trainVocabulary(['hello there how are you doing'], 270));
// Wide weights, so that replies are not all of one token.
const config = { n_positions: 96, n_embd: 32, n_layer: 2, n_head: 4, initializer_range: 0.4 };
const checkpoint = freshCheckpoint(tokenizer, config, 17);
const options: GenerationOptions = { seed: 5, maxNewTokens: 30, minNewTokens: 30 };
const history = ['hello', 'how are you', 'fine'];

let folder = '';
let model: DialogModel;

async function joined(pieces: AsyncIterable<string>): Promise<string> {
  let text = '';
  for await (const piece of pieces) text += piece;
  return text;
}

describe('DialogModel', () => {
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'dialogpt-test-'));
    await saveCheckpoint(join(folder, 'model'), checkpoint);
    model = await loadModel(join(folder, 'model'), { threads: 1 });
  });
  after(async () => {
    await model[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });

  it('refuses a history that is no list of texts, and tokens that it does not have', async () => {
    const numbers: unknown = [1];
    for (const wrong of [numbers, 'hello']) {
      const given = z.custom<readonly string[]>().parse(wrong);
      await assert.rejects(joined(model.reply(given, options)), /must be a list of texts/);
    }
    const unknown = { ...options, badWordsIds: [[1, 5000]] };
    await assert.rejects(
      joined(model.reply(history, unknown)),
      /badWordsIds: there is no token 5000/,
    );
  });

  it('says in its thread what the decoder says in this one', async () => {
    await using decoder = await Decoder.create(checkpoint.parameters, { threads: 1 });
    const prompt = promptTokens(tokenizer, history, 66, 5);
    const tokens: number[] = [];
    for await (const token of generateTokens(decoder, tokenizer.endOfText, prompt, options)) {
      tokens.push(token);
    }
    assert.equal(tokens.length, 30);
    const plain = { ...options, noRepeatReplyNgramSize: 0, noRepeatHistoryNgramSize: 0 };
    const text = await joined(model.reply(history, plain));
    assert.equal(text, tokenizer.decode(tokens).trim());
    assert.ok(text.length > 0);
  });

  it('repeats itself with a seed, and not with another', async () => {
    const once = await joined(model.reply(history, options));
    assert.equal(await joined(model.reply(history, options)), once);
    assert.notEqual(await joined(model.reply(history, { ...options, seed: 6 })), once);
    const greedy = { ...options, doSample: false };
    const likeliest = await joined(model.reply(history, greedy));
    assert.equal(await joined(model.reply(history, { ...greedy, seed: 9 })), likeliest);
  });

  it('answers two at once as it answers one after the other', async () => {
    const other = ['something else'];
    const apart = [
      await joined(model.reply(history, options)),
      await joined(model.reply(other, options)),
    ];
    const together = await Promise.all([
      joined(model.reply(history, options)),
      joined(model.reply(other, options)),
    ]);
    assert.deepEqual(together, apart);
  });

  it('ends early at a signal, and answers the next', async () => {
    const whole = await joined(model.reply(history, options));
    const controller = new AbortController();
    const pieces: string[] = [];
    for await (const piece of model.reply(history, { ...options, signal: controller.signal })) {
      pieces.push(piece);
      if (pieces.length === 3) controller.abort();
    }
    assert.ok(pieces.length >= 3);
    assert.ok(whole.startsWith(pieces.join('')));
    const aborted = model.reply(history, { ...options, signal: AbortSignal.abort() });
    assert.equal(await joined(aborted), '');
    assert.equal(await joined(model.reply(history, options)), whole);
  });

  it('tells no summary of a reply whose only piece may be missing', async () => {
    const controller = new AbortController();
    const told: unknown[] = [];
    const pieces = model.reply(history, {
      ...options,
      signal: controller.signal,
      onCandidates: () => {
        controller.abort();
      },
      onSummary: (summary) => told.push(summary),
    });
    await joined(pieces);
    assert.ok(controller.signal.aborted);
    assert.deepEqual(told, []);
  });

  it('ends when its reader goes away', async () => {
    const whole = await joined(model.reply(history, options));
    for await (const piece of model.reply(history, options)) {
      assert.ok(whole.startsWith(piece));
      break;
    }
    assert.equal(await joined(model.reply(history, options)), whole);
  });

  it('passes on what the person at the keyboard can mend', async () => {
    await assert.rejects(joined(model.reply(['  '], options)), {
      name: 'UserError',
      message: 'There is nothing to reply to: the message is empty.',
    });
    await assert.rejects(joined(model.reply(history, { temperature: 0 })), UserError);
    await assert.rejects(loadModel(join(folder, 'none')), (error: unknown) => {
      assert.ok(error instanceof UserError);
      assert.ok(error.message.startsWith(`${join(folder, 'none')}: `), error.message);
      return true;
    });
    await saveCheckpoint(join(folder, 'damaged'), checkpoint);
    await writeFile(join(folder, 'damaged', 'model.safetensors'), 'x');
    await assert.rejects(loadModel(join(folder, 'damaged')), (error: unknown) => {
      assert.ok(error instanceof UserError);
      assert.ok(error.message.startsWith(join(folder, 'damaged', 'model.safetensors')));
      return true;
    });
  });
});
