import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { generateText, streamText, tool } from 'ai';
import { languageModel } from 'dialogpt/ai-sdk';
import { z } from 'zod';
import { UserError } from '../../src/base/errors.js';
import { type DialogModel, loadModel } from '../../src/decoding/index.js';
import { golden } from '../support/files.js';

let model: DialogModel;
before(async () => {
  model = await loadModel(golden('ranking', 'reverse'), { threads: 1 });
});
after(() => model[Symbol.asyncDispose]());

const toldSchema = z.object({
  interventions: z.array(z.object({ action: z.string(), entry: z.string() })),
});
const call = { prompt: 'Hello there', seed: 4, maxOutputTokens: 7 };

async function plainReply(history: readonly string[], options: object): Promise<string> {
  let text = '';
  for await (const piece of model.reply(history, options)) text += piece;
  return text;
}

describe('the AI SDK', () => {
  it('generates with usage and a reason to end', async () => {
    const result = await generateText({ model: languageModel(model), ...call });
    assert.equal(result.text, await plainReply(['Hello there'], { seed: 4, maxNewTokens: 7 }));
    assert.equal(result.finishReason, 'length');
    assert.equal(result.usage.inputTokens, 'Hello there'.length + 1);
    assert.equal(result.usage.outputTokens, 7);
    assert.deepEqual(result.warnings, []);
  });

  it('streams the same', async () => {
    const whole = await generateText({ model: languageModel(model), ...call });
    const result = streamText({ model: languageModel(model), ...call });
    const pieces: string[] = [];
    for await (const piece of result.textStream) pieces.push(piece);
    assert.equal(pieces.join(''), whole.text);
    assert.equal(await result.finishReason, 'length');
    assert.deepEqual((await result.usage).outputTokens, 7);
  });

  it('reads a conversation, and temperature 0 as the likeliest tokens', async () => {
    const result = await generateText({
      model: languageModel(model, { options: { maxNewTokens: 5 } }),
      temperature: 0,
      messages: [
        { role: 'user', content: 'Hi' },
        { role: 'assistant', content: 'Hello' },
        { role: 'user', content: [{ type: 'text', text: 'And now?' }] },
      ],
    });
    const options = { doSample: false, maxNewTokens: 5 };
    assert.equal(result.text, await plainReply(['Hi', 'Hello', 'And now?'], options));
  });

  it('takes system messages for the persona if told, and warns otherwise', async () => {
    const system = 'I like tea.';
    const { text, warnings } = await generateText({ model: languageModel(model), system, ...call });
    assert.equal(text, await plainReply(['Hello there'], { seed: 4, maxNewTokens: 7 }));
    assert.deepEqual(
      warnings?.map((warning) => (warning.type === 'unsupported' ? warning.feature : '')),
      ['system messages'],
    );
    const persona = languageModel(model, { systemAsPersona: true });
    const other = await generateText({ model: persona, system, ...call });
    assert.equal(
      other.text,
      await plainReply(['Hello there'], { seed: 4, maxNewTokens: 7, persona: [system] }),
    );
    assert.deepEqual(other.warnings, []);
  });

  it('warns of settings that it has no use for, and takes its own', async () => {
    const { text, warnings } = await generateText({
      model: languageModel(model),
      ...call,
      tools: { nothing: tool({ inputSchema: z.object({}) }) },
      providerOptions: { dialogpt: { numBeams: 3, doSample: false } },
    });
    const options = { maxNewTokens: 7, numBeams: 3, doSample: false };
    assert.equal(text, await plainReply(['Hello there'], options));
    assert.equal(warnings?.length, 1);
    await assert.rejects(
      generateText({
        model: languageModel(model),
        ...call,
        maxRetries: 0,
        providerOptions: { dialogpt: { numBeams: 0 } },
      }),
      UserError,
    );
  });

  it('ends at stop sequences, which are not told', async () => {
    const { text } = await generateText({ model: languageModel(model), ...call });
    const stop = text.slice(3, 5);
    const wanted = text.slice(0, text.indexOf(stop));
    const stopping = { model: languageModel(model), ...call, stopSequences: [stop, 'never said'] };
    const whole = await generateText(stopping);
    assert.equal(whole.text, wanted);
    assert.equal(whole.finishReason, 'stop');
    assert.ok((whole.usage.outputTokens ?? 0) > 0 && (whole.usage.outputTokens ?? 0) < 7);
    const streamed = streamText(stopping);
    let pieces = '';
    for await (const piece of streamed.textStream) pieces += piece;
    assert.equal(pieces, wanted);
    assert.equal(await streamed.finishReason, 'stop');
    assert.deepEqual((await streamed.usage).outputTokens, whole.usage.outputTokens);

    const numBeams = { dialogpt: { numBeams: 3 } };
    const beams = await generateText({ ...stopping, stopSequences: [], providerOptions: numBeams });
    const cut = await generateText({
      ...stopping,
      stopSequences: [beams.text.slice(2)],
      providerOptions: numBeams,
    });
    assert.equal(cut.text, beams.text.slice(0, beams.text.indexOf(beams.text.slice(2))));
    assert.ok((cut.usage.outputTokens ?? 0) > 0);
  });

  it('takes penalties, and the settings of a call before those of every reply', async () => {
    const given = { presencePenalty: 1.5, frequencyPenalty: 1 };
    const { text, warnings } = await generateText({
      model: languageModel(model, { options: { numBeams: 3, lengthPenalty: 2 } }),
      ...call,
      ...given,
      temperature: 2,
    });
    const options = { seed: 4, maxNewTokens: 7, temperature: 2, ...given };
    assert.equal(text, await plainReply(['Hello there'], options));
    assert.deepEqual(warnings, []);
    const bold = languageModel(model, { options: { temperature: 2, topK: 9 } });
    const greedy = await generateText({ model: bold, ...call, temperature: 0 });
    const likeliest = { doSample: false, maxNewTokens: 7 };
    assert.equal(greedy.text, await plainReply(['Hello there'], likeliest));
  });

  it('tells what the safety layer did', async () => {
    const free = await generateText({ model: languageModel(model), ...call });
    assert.equal(free.providerMetadata, undefined);
    // The token of the byte `a` in a vocabulary of bytes, which begins with `!`.
    const logitBias: [number, number][] = [[64, 100]];
    const options = { safety: true, blockList: ['a'], logitBias };
    const guarded = languageModel(model, { options });
    const said = await generateText({ model: guarded, ...call, maxOutputTokens: 1 });
    assert.equal(said.finishReason, 'content-filter');
    const { interventions } = toldSchema.parse(said.providerMetadata?.dialogpt);
    assert.deepEqual(
      interventions.map(({ action, entry }) => `${action} ${entry}`),
      ['withheld a', 'withheld a', 'withheld a', 'refused a'],
    );
  });

  it('ends at a signal', async () => {
    const controller = new AbortController();
    const result = streamText({
      model: languageModel(model),
      prompt: 'Hello',
      maxOutputTokens: 60,
      providerOptions: { dialogpt: { minNewTokens: 60 } },
      abortSignal: controller.signal,
      onError: () => undefined,
    });
    let pieces = 0;
    for await (const part of result.fullStream) {
      if (part.type === 'text-delta') pieces += 1;
      if (pieces === 2) controller.abort();
      if (part.type === 'abort') break;
    }
    assert.ok(pieces < 60);
    await assert.rejects(
      generateText({ model: languageModel(model), ...call, abortSignal: AbortSignal.abort() }),
      { name: 'AbortError' },
    );
    assert.ok((await generateText({ model: languageModel(model), ...call })).text.length > 0);
  });
});
