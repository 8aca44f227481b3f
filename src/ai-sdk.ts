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
  SharedV3Warning,
} from '@ai-sdk/provider';
import { ReadableStream } from 'node:stream/web';
import { z } from 'zod';
import { UserError } from './base/errors.js';
import type { DialogModel, GenerationOptions, ReplySummary } from './decoding/index.js';

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
  readonly history: readonly string[];
  readonly options: GenerationOptions;
  readonly warnings: SharedV3Warning[];
}

/**
 * A loaded model as a language model of the AI SDK's specification 3. The model stays the caller's
 * to dispose of.
 *
 * Temperature 0 takes the likeliest tokens. Settings that the model has no use for (tools, JSON
 * output, stop sequences, presence and frequency penalties, files) are reported as warnings.
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
      const { history, options, warnings } = requestOf(call, settings);
      let text = '';
      const ending = watchEnding();
      for await (const piece of model.reply(history, { ...options, ...ending.hooks(call) })) {
        text += piece;
      }
      call.abortSignal?.throwIfAborted();
      return { content: [{ type: 'text', text }], warnings, ...ending.result() };
    },
    doStream(call) {
      const { history, options, warnings } = requestOf(call, settings);
      const ending = watchEnding();
      const leaving = new AbortController();
      const signal =
        call.abortSignal === undefined
          ? leaving.signal
          : AbortSignal.any([call.abortSignal, leaving.signal]);
      const pieces = model.reply(history, { ...options, ...ending.hooks({ abortSignal: signal }) });
      const stream = new ReadableStream<LanguageModelV3StreamPart>({
        start: (controller) => {
          controller.enqueue({ type: 'stream-start', warnings });
          controller.enqueue({ type: 'text-start', id: TEXT_ID });
        },
        pull: async (controller) => {
          const step = await pieces.next();
          call.abortSignal?.throwIfAborted();
          if (step.done !== true) {
            controller.enqueue({ type: 'text-delta', id: TEXT_ID, delta: step.value });
            return;
          }
          controller.enqueue({ type: 'text-end', id: TEXT_ID });
          controller.enqueue({ type: 'finish', ...ending.result() });
          controller.close();
        },
        cancel: async () => {
          leaving.abort();
          await pieces.return();
        },
      });
      return Promise.resolve({ stream });
    },
  };
}

/** The one text of a reply. */
const TEXT_ID = '0';

/** Remembers how a reply ended. */
function watchEnding() {
  let summary: ReplySummary | undefined;
  return {
    hooks: ({ abortSignal }: Pick<LanguageModelV3CallOptions, 'abortSignal'>) => ({
      ...(abortSignal === undefined ? {} : { signal: abortSignal }),
      onSummary: (told: ReplySummary) => {
        summary = told;
      },
    }),
    result: (): { finishReason: LanguageModelV3FinishReason; usage: LanguageModelV3Usage } => {
      const prompt = summary?.promptTokens;
      const completion = summary?.completionTokens;
      return {
        finishReason: { unified: summary?.finish ?? 'other', raw: summary?.finish },
        usage: {
          inputTokens: {
            total: prompt,
            noCache: undefined,
            cacheRead: undefined,
            cacheWrite: undefined,
          },
          outputTokens: { total: completion, text: completion, reasoning: undefined },
        },
      };
    },
  };
}

function requestOf(
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
  return {
    history,
    warnings,
    options: {
      ...options,
      ...(persona.length === 0 ? {} : { persona }),
      ...(call.maxOutputTokens === undefined ? {} : { maxNewTokens: call.maxOutputTokens }),
      ...(call.seed === undefined ? {} : { seed: call.seed }),
      ...(greedy ? { doSample: false } : drawingOf(call)),
      ...own.data,
    },
  };
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
    ['stopSequences', (call.stopSequences ?? []).length > 0],
    ['presencePenalty', (call.presencePenalty ?? 0) !== 0],
    ['frequencyPenalty', (call.frequencyPenalty ?? 0) !== 0],
  ];
  return features.flatMap(([feature, given]) => (given ? [unsupported(feature)] : []));
}

function unsupported(feature: string, details?: string): SharedV3Warning {
  return { type: 'unsupported', feature, ...(details === undefined ? {} : { details }) };
}
