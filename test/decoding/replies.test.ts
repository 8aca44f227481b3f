import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { range } from '../../src/base/arrays.js';
import { freshCheckpoint } from '../../src/checkpoint/index.js';
import {
  BlockList,
  Decoder,
  Ensemble,
  finishSearch,
  type GenerationOptions,
  type Intervention,
  MutualInformation,
  Ranker,
  type ReplyCandidate,
  replySearch,
  streamReply,
} from '../../src/decoding/index.js';
import { Tokenizer, trainVocabulary } from '../../src/tokenizer/index.js';
import { scriptedReader } from '../support/scripted.js';

const tokenizer = new Tokenizer(trainVocabulary(['hello there how are you doing'], 262));
const config = { n_positions: 96, n_embd: 32, n_layer: 2, n_head: 4, initializer_range: 0.4 };
const checkpoint = freshCheckpoint(tokenizer, config, 17);

async function joined(pieces: AsyncIterable<string>): Promise<string> {
  let text = '';
  for await (const piece of pieces) text += piece;
  return text;
}

/** The runs of `size` tokens of a reply. */
function runs(ids: readonly number[], size: number): string[] {
  return range(0, ids.length - size + 1).map((start) => ids.slice(start, start + size).join());
}

describe('replies', () => {
  it('are never empty and say no three tokens twice, whatever the seed', async () => {
    await using decoder = await Decoder.create(checkpoint.parameters, { threads: 1 });
    for (const seed of range(0, 12)) {
      const options = { seed, topK: 3, temperature: 0.3, maxNewTokens: 25 };
      const text = await joined(streamReply(decoder, tokenizer, ['hello'], options));
      assert.notEqual(text.trim(), '');
      assert.equal(text, text.trim());
    }
    const greedy = { doSample: false, maxNewTokens: 25 };
    const search = replySearch(config.n_positions, tokenizer, ['hello'], greedy);
    const [found] = await finishSearch(decoder, search);
    const repeated = runs(found?.tokens ?? [], 3);
    assert.ok(repeated.length > 3);
    assert.equal(new Set(repeated).size, repeated.length);
  });

  it('say nothing again that their speaker said, or that anybody said', async () => {
    const history = ['hello there', 'how are you', 'doing'.repeat(3)];
    const free = { maxNewTokens: 30, noRepeatReplyNgramSize: 0 };
    const saying = async (text: string, options: GenerationOptions) => {
      const reader = scriptedReader(tokenizer, [text]);
      return joined(streamReply(reader, tokenizer, history, { ...free, ...options }));
    };
    const all: GenerationOptions = { noRepeatHistoryTurns: 'all' };
    const [first = '', second = '', third = ''] = history;
    for (const text of [first, third]) {
      assert.equal(await saying(text, {}), text);
      assert.notEqual(await saying(text, all), text);
    }
    assert.notEqual(await saying(second, {}), second);
    assert.notEqual(await saying(second, all), second);
  });

  it('come as a whole as they come in pieces', async () => {
    await using decoder = await Decoder.create(checkpoint.parameters, { threads: 1 });
    for (const seed of range(0, 5)) {
      const options = { seed, maxNewTokens: 20 };
      const pieces = await joined(streamReply(decoder, tokenizer, ['hello'], options));
      const whole = { ...options, safety: true, blockList: ['never said'] };
      assert.equal(await joined(streamReply(decoder, tokenizer, ['hello'], whole)), pieces);
    }
  });

  it('are ranked by a reverse model and by an ensemble, the best first', async () => {
    await using decoder = await Decoder.create(checkpoint.parameters, { threads: 1 });
    await using mmi = await MutualInformation.create(checkpoint, { threads: 1 });
    const score = Float32Array.from(range(0, config.n_embd), (place) => Math.sin(place));
    await using ranker = await Ranker.create({ ...checkpoint, score }, { threads: 1 });
    const ensemble = new Ensemble([
      { name: 'updown', weight: 2, kind: 'cond', ranker },
      { name: 'depth', weight: -0.5, kind: 'cond', ranker },
      { name: 'human', weight: 3, kind: 'prior', ranker },
    ]);
    for (const rerank of ['mmi', 'ranker'] as const) {
      const told: ReplyCandidate[] = [];
      const options = { seed: 3, numCandidates: 6, maxNewTokens: 8, rerank };
      const reply = await joined(
        streamReply(decoder, tokenizer, ['hello', 'how are you', 'fine'], options, {
          rerankers: { mmi, ranker: ensemble },
          onCandidates: (candidates) => told.push(...candidates),
        }),
      );
      assert.equal(told[0]?.text, reply);
      assert.ok(told.length > 1);
      const finals = told.map(({ scores }) => scores.final ?? NaN);
      assert.deepEqual(
        finals,
        finals.toSorted((a, b) => b - a),
      );
      if (rerank === 'mmi') continue;
      for (const { scores } of told) {
        const { updown = 0, depth = 0, human = 0, final = 0 } = scores;
        assert.ok(Math.abs(final - human * ((2 * updown - 0.5 * depth) / 1.5)) < 1e-9);
      }
    }
  });

  it('are ranked by the turns that they reply to', async () => {
    await using decoder = await Decoder.create(checkpoint.parameters, { threads: 1 });
    await using mmi = await MutualInformation.create(checkpoint, { threads: 1 });
    const history = ['hello', 'how are you', 'fine'];
    const told: ReplyCandidate[] = [];
    const options: GenerationOptions = { seed: 3, numCandidates: 6, rerank: 'mmi' };
    const services = {
      rerankers: { mmi },
      onCandidates: (candidates: readonly ReplyCandidate[]) => told.push(...candidates),
    };
    const two = { ...options, maxNewTokens: 8, maxHistoryTurns: 2 };
    await joined(streamReply(decoder, tokenizer, history, two, services));
    const texts = told.map(({ text }) => text);
    const expected = await mmi.score(history.slice(-2), texts);
    for (const [index, { scores }] of told.entries()) {
      const difference = (scores.final ?? NaN) - (expected[index]?.final ?? NaN);
      assert.ok(Math.abs(difference) < 1e-4, String(difference));
    }
  });

  for (const how of [{ doSample: false }, { numBeams: 3 }, { numBeams: 3, numCandidates: 3 }]) {
    it(`with blocked words are withheld, and others said: ${JSON.stringify(how)}`, async () => {
      await using decoder = await Decoder.create(checkpoint.parameters, { threads: 1 });
      const reply = async (blockList: readonly string[]) => {
        const told: Intervention[] = [];
        const services = { onIntervention: (event: Intervention) => told.push(event) };
        const safe = { ...how, maxNewTokens: 6, safety: true, refusal: 'No.' };
        const options = { ...safe, blockList: [...blockList] };
        const text = await joined(streamReply(decoder, tokenizer, ['hello'], options, services));
        return { text, actions: told.map(({ action }) => action) };
      };
      const said: string[] = [];
      for (let next = await reply([]); next.text !== 'No.'; next = await reply(said)) {
        assert.deepEqual(next, await reply(said));
        assert.equal(next.actions.length, said.length);
        assert.ok(!said.includes(next.text), next.text);
        said.push(next.text);
      }
      assert.ok(said.length > 2, String(said.length));
      assert.equal((await reply(said)).actions.at(-1), 'refused');
    });
  }
});

describe('BlockList', () => {
  const list = new BlockList(['shit', 'kill yourself']);
  for (const text of [
    'Shit!',
    'oh $h1t',
    'shiiiit',
    's.h.i.t',
    's h i t',
    'śhít',
    'sh\u200Bit',
    'KILL  yourself',
  ]) {
    it(`finds ${text}`, () => {
      assert.ok(list.find(text) !== undefined);
    });
  }
  for (const text of ['shitake', 'a mishit', 'his hit', 'kill time yourself', 'kills yourself']) {
    it(`lets ${text} pass`, () => {
      assert.equal(list.find(text), undefined);
    });
  }
});
