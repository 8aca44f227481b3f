/**
 * A model of this library as a language model of the Vercel AI SDK (`ai`):
 *
 * ```ts
 * await using model = await loadModel('microsoft/DialoGPT-medium');
 * const { text } = await generateText({ model: languageModel(model), prompt: 'Hello!' });
 * ```
 *
 * @packageDocumentation
 */
import type {
  LanguageModelV3,
  LanguageModelV3CallOptions,
  LanguageModelV3FinishReason,
  LanguageModelV3StreamPart,
  LanguageModelV3Usage,
  SharedV3ProviderMetadata,
  SharedV3Warning,
} from '@ai-sdk/provider';
import { ReadableStream } from 'node:stream/web';
import { z } from 'zod';
import { UserError } from './base/errors.js';
import {
  checkOptions,
  type DialogModel,
  type GenerationOptions,
  type ModelTask,
  type ReplySummary,
  StopStrings,
  withDefaults,
} from './decoding/index.js';

/** How {@link languageModel} presents a model. */
export interface LanguageModelSettings {
  /** What the AI SDK calls the model; `dialogpt`. */
  readonly modelId?: string;
  /** Options of every reply; those of a call (also in `providerOptions.dialogpt`) go before. */
  readonly options?: GenerationOptions;
  /** Read `system` messages as the speaker's persona; otherwise they are left out with a warning. */
  readonly systemAsPersona?: boolean;
}

const providerOptionsSchema = z.custom<GenerationOptions>((value) => typeof value === 'object');

/** A reply that is asked for, in the library's terms. */
interface Request {
  readonly task: ModelTask;
  readonly warnings: SharedV3Warning[];
}

/**
 * A loaded model as a language model of the AI SDK's specification 3. The model stays the caller's
 * to dispose of.
 *
 * Temperature 0 takes the likeliest tokens. Settings that the model has no use for (tools, JSON
 * output, files) are reported as warnings; what the safety layer did is in
 * `providerMetadata.dialogpt.interventions`.
 */
export function languageModel(
  model: DialogModel,
  settings: LanguageModelSettings = {},
): LanguageModelV3 {
  return {
    specificationVersion: 'v3',
    provider: 'dialogpt',
    modelId: settings.modelId ?? 'dialogpt',
    supportedUrls: {},
    async doGenerate(call) {
      const { task, warnings } = requestOf(model, call, settings);
      const reply = watchReply(model, task, call);
      let text = '';
      for await (const piece of reply.pieces) text += piece;
      return { content: [{ type: 'text', text }], warnings, ...reply.ending() };
    },
    async doStream(call) {
      const { task, warnings } = await Promise.resolve(requestOf(model, call, settings));
      const reply = watchReply(model, task, call);
      const stream = new ReadableStream<LanguageModelV3StreamPart>({
        start: (controller) => {
          controller.enqueue({ type: 'stream-start', warnings });
          controller.enqueue({ type: 'text-start', id: TEXT_ID });
        },
        pull: async (controller) => {
          const step = await reply.pieces.next();
          if (step.done !== true) {
            controller.enqueue({ type: 'text-delta', id: TEXT_ID, delta: step.value });
            return;
          }
          controller.enqueue({ type: 'text-end', id: TEXT_ID });
          controller.enqueue({ type: 'finish', ...reply.ending() });
          controller.close();
        },
        cancel: async () => {
          reply.leave();
          await reply.pieces.return();
        },
      });
      return { stream };
    },
  };
}

/** The one text of a reply. */
const TEXT_ID = '0';

/** How a reply ended, in the AI SDK's terms. */
interface Ending {
  readonly finishReason: LanguageModelV3FinishReason;
  readonly usage: LanguageModelV3Usage;
  readonly providerMetadata?: SharedV3ProviderMetadata;
}

/** A reply under way. */
interface WatchedReply {
  /** Its text up to the first stop sequence; throws where the call is aborted. */
  readonly pieces: AsyncGenerator<string, void, undefined>;
  /** How it ended, when the pieces have. */
  ending(): Ending;
  /** Ends it, as nobody waits for the rest. */
  leave(): void;
}

function watchReply(
  model: DialogModel,
  task: ModelTask,
  { abortSignal, stopSequences = [] }: LanguageModelV3CallOptions,
): WatchedReply {
  const leaving = new AbortController();
  const signals = abortSignal === undefined ? [] : [abortSignal];
  const signal = AbortSignal.any([leaving.signal, ...signals]);
  const interventions: { action: string; entry: string; message: string }[] = [];
  let finish: ReplySummary['finish'] | undefined;
  let prompt: number | undefined;
  let completion = 0;
  async function* pieces(): AsyncGenerator<string, void, undefined> {
    const stops = new StopStrings(stopSequences);
    for await (const event of model.ask(task, signal)) {
      if (event.type === 'prompt') prompt = event.tokens;
      else if (event.type === 'intervention') {
        const { action, entry, message } = event;
        interventions.push({ action, entry, message });
      } else if (event.type === 'end') {
        ({ finish, promptTokens: prompt, completionTokens: completion } = event);
      } else if (event.type === 'piece') {
        // Where a reply comes whole, its end has been told before.
        if (finish === undefined) completion += event.tokens;
        const { text, stopped } = stops.push(event.text);
        if (text !== '') yield text;
        if (stopped) {
          finish = 'stop';
          return;
        }
      }
    }
    abortSignal?.throwIfAborted();
    const rest = stops.end();
    if (rest !== '') yield rest;
  }
  return {
    pieces: pieces(),
    leave: () => {
      leaving.abort();
    },
    ending: () => ({
      finishReason: { unified: finish ?? 'other', raw: finish },
      usage: {
        inputTokens: {
          total: prompt,
          noCache: undefined,
          cacheRead: undefined,
          cacheWrite: undefined,
        },
        outputTokens: { total: completion, text: completion, reasoning: undefined },
      },
      ...(interventions.length === 0 ? {} : { providerMetadata: { dialogpt: { interventions } } }),
    }),
  };
}

function requestOf(
  model: DialogModel,
  call: LanguageModelV3CallOptions,
  { options = {}, systemAsPersona = false }: LanguageModelSettings,
): Request {
  const warnings = warningsAbout(call);
  const history: string[] = [];
  const persona: string[] = [];
  for (const message of call.prompt) {
    if (message.role === 'system') {
      if (systemAsPersona) persona.push(...message.content.split('\n'));
      else warnings.push(unsupported('system messages', 'set systemAsPersona to read them'));
    } else if (message.role === 'tool') {
      warnings.push(unsupported('tool messages'));
    } else {
      const texts = message.content.flatMap((part) => (part.type === 'text' ? [part.text] : []));
      if (texts.length < message.content.length) warnings.push(unsupported('parts without text'));
      history.push(texts.join('\n'));
    }
  }
  if (call.prompt.at(-1)?.role !== 'user') {
    throw new UserError('There is nothing to reply to: the last message must be of the user.');
  }
  const greedy = call.temperature === 0;
  const own = providerOptionsSchema.safeParse(call.providerOptions?.dialogpt ?? {});
  if (!own.success) throw new UserError('providerOptions.dialogpt must be generation options.');
  const said: GenerationOptions = {
    ...(persona.length === 0 ? {} : { persona }),
    ...(call.maxOutputTokens === undefined ? {} : { maxNewTokens: call.maxOutputTokens }),
    ...(call.seed === undefined ? {} : { seed: call.seed }),
    ...(call.presencePenalty === undefined ? {} : { presencePenalty: call.presencePenalty }),
    ...(call.frequencyPenalty === undefined ? {} : { frequencyPenalty: call.frequencyPenalty }),
    ...(greedy ? { doSample: false } : drawingOf(call)),
    ...own.data,
  };
  const all = withDefaults(options, said);
  checkOptions(all, model.defaults);
  return { task: { type: 'reply', history, options: all, candidates: false }, warnings };
}

function drawingOf({ temperature, topK, topP }: LanguageModelV3CallOptions): GenerationOptions {
  return {
    ...(temperature === undefined ? {} : { temperature }),
    ...(topK === undefined ? {} : { topK }),
    ...(topP === undefined ? {} : { topP }),
  };
}

function warningsAbout(call: LanguageModelV3CallOptions): SharedV3Warning[] {
  const features: readonly (readonly [feature: string, given: boolean])[] = [
    ['tools', (call.tools ?? []).length > 0],
    ['responseFormat', call.responseFormat?.type === 'json'],
  ];
  return features.flatMap(([feature, given]) => (given ? [unsupported(feature)] : []));
}

function unsupported(feature: string, details?: string): SharedV3Warning {
  return { type: 'unsupported', feature, ...(details === undefined ? {} : { details }) };
}
