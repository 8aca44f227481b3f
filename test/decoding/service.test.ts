import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { MessageChannel } from 'node:worker_threads';
import { z } from 'zod';
import { freshCheckpoint } from '../../src/checkpoint/index.js';
import { constraintsOf } from '../../src/decoding/constraints.js';
import {
  Decoder,
  decodingOptions,
  type ModelEvent,
  type Reader,
} from '../../src/decoding/index.js';
import { modelEvent } from '../../src/decoding/protocol.js';
import { Service } from '../../src/decoding/service.js';
import { Tokenizer, trainVocabulary } from '../../src/tokenizer/index.js';

const tokenizer = new Tokenizer(trainVocabulary(['hello there how are you doing'], 270));
const config = { n_positions: 96, n_embd: 32, n_layer: 2, n_head: 4, initializer_range: 0.4 };
const { parameters } = freshCheckpoint(tokenizer, config, 17);

describe('Service', () => {
  it('reads nothing more when the other side has gone', async () => {
    await using decoder = await Decoder.create(parameters, { threads: 1 });
    const { port1, port2 } = new MessageChannel();
    port2.ref();
    let reads = 0;
    let gone = false;
    const reader: Reader = {
      config: decoder.config,
      read: async (sequences) => {
        assert.ok(!gone, 'It read on.');
        reads += 1;
        if (reads === 5) {
          port1.close();
          await once(port2, 'close');
          gone = true;
        }
        return decoder.read(sequences);
      },
    };
    const options = { seed: 1, maxNewTokens: 40, minNewTokens: 40 };
    const service = new Service(reader, tokenizer, {}, {}, port2);
    await service.serve({ type: 'reply', history: ['hello'], options, candidates: false });
    assert.equal(reads, 5);
  });

  it('tells of each token once, with its text', async () => {
    await using decoder = await Decoder.create(parameters, { threads: 1 });
    const { port1, port2 } = new MessageChannel();
    const events: ModelEvent[] = [];
    port1.on('message', (message) => events.push(modelEvent(message)));
    const service = new Service(decoder, tokenizer, {}, {}, port2);
    const options = { seed: 1, maxNewTokens: 30, minNewTokens: 30 };
    const task = {
      type: 'continuation',
      prompt: 'hello',
      echo: false,
      options,
      logprobs: 3,
    } as const;
    await service.serve(task);
    port2.close();
    await once(port1, 'close');
    const pieces = events.filter((event) => event.type === 'piece');
    const told = pieces.flatMap(({ logprobs = [] }) => logprobs);
    assert.equal(told.length, 30);
    assert.equal(
      pieces.reduce((total, { tokens }) => total + tokens, 0),
      30,
    );
    const bytes = Uint8Array.from(told.flatMap((token) => token.bytes));
    assert.equal(new TextDecoder().decode(bytes), pieces.map(({ text }) => text).join(''));
    assert.ok(told.every(({ likeliest }) => likeliest.length === 3));
    assert.deepEqual(
      events.find(({ type }) => type === 'prompt'),
      {
        type: 'prompt',
        tokens: tokenizer.encode('hello').length,
        known: 0,
      },
    );
    const { promptTokens, ...end } = z
      .looseObject({ type: z.literal('end'), promptTokens: z.number() })
      .parse(events.at(-2));
    assert.ok(promptTokens > 0);
    assert.deepEqual(end, {
      type: 'end',
      completionTokens: 30,
      generatedTokens: 30,
      finish: 'length',
    });
    assert.deepEqual(events.at(-1), { type: 'done' });
  });
});

describe("OpenAI's penalties and bias", () => {
  it('change the logits of what was generated, not of the prompt', () => {
    const options = decodingOptions({
      presencePenalty: 0.5,
      frequencyPenalty: 0.25,
      logitBias: [
        [4, 10],
        [0, -3],
      ],
      minNewTokens: 0,
    });
    const scores = Float32Array.from([1, 2, 3, 4, 5]);
    // The prompt is 0 and 1; after it come 1, 2 and 2.
    for (const constraint of constraintsOf(options, 2, 9)) constraint(scores, [0, 1, 1, 2, 2]);
    assert.deepEqual([...scores], [1 - 3, 2 - 0.75, 3 - 1, 4, 5 + 10]);
  });
});
