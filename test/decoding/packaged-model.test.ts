import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import { DEFAULT_MODEL, resolveModel } from '../../src/checkpoint/index.js';
import { loadModel, type ReplyCandidate } from '../../src/decoding/index.js';
import { succeed } from '../support/tiny.js';
import { temporaryFolder } from '../support/files.js';

/** What people say first, and what a reply to it has to be about. */
const SMALL_TALK: readonly (readonly [string, RegExp])[] = [
  ['Hello! How are you today?', /\b(?:good|well|great|fine)\b/i],
  ['Hi there, what is your name?', /name is|I'm|I am/i],
  ['Do you have any pets?', /\b(?:dogs?|cats?|pets?|no|yes)\b/i],
  ['What is your favorite food?', /\b(?:pizza|food|soup|love|like)\b/i],
  ['Where are you from?', /from/i],
];

describe('the model that comes with the package', () => {
  it('is small enough to come with it', async () => {
    const sizeOf = async (name: string) =>
      (await stat(join(await resolveModel(name), 'model.safetensors'))).size;
    assert.ok((await sizeOf(DEFAULT_MODEL)) <= 25e6);
    assert.ok((await sizeOf(`${DEFAULT_MODEL}-reverse`)) <= 10e6);
  });

  it('replies to small talk without being told which model', async () => {
    await using model = await loadModel();
    for (const [turn, expected] of SMALL_TALK) {
      const reply = await text(model.reply([turn], { doSample: false }));
      assert.match(reply, expected);
    }
  });

  it('ranks its candidates by the reverse model beside it, and says the best', async () => {
    await using model = await loadModel();
    let found: readonly ReplyCandidate[] = [];
    const reply = await text(
      model.reply(['I had sushi for dinner last night.'], {
        seed: 1,
        numCandidates: 8,
        rerank: 'mmi',
        onCandidates: (all) => {
          found = all;
        },
      }),
    );
    assert.ok(found.length > 1 && found.length <= 8);
    assert.equal(reply, found[0]?.text);
    const finals = found.map(({ scores }) => scores.final ?? NaN);
    assert.deepEqual(
      finals,
      finals.toSorted((a, b) => b - a),
    );
  });

  it('is what chat and generate take where no model is named', async (context) => {
    const folder = await temporaryFolder(context);
    const said = await succeed(folder, ['chat', '--once'], 'Hello! How are you today?\n');
    assert.match(said, /\S/);
    const words = ['generate', '--num-candidates', '3', '--rerank', 'mmi'];
    const replies = await succeed(folder, words, 'Do you like music?\nI have a dog.\n');
    assert.equal(replies.trimEnd().split('\n').length, 2);
  });
});
