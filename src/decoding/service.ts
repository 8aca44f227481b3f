import { setImmediate } from 'node:timers/promises';
import type { MessagePort } from 'node:worker_threads';
import { at } from '../base/arrays.js';
import { messageOf, UserError } from '../base/errors.js';
import { END_OF_TEXT, type Tokenizer } from '../tokenizer/index.js';
import { continuationPrompt, reportPrompt, streamContinuation } from './continuation.js';
import { withDefaults } from './model-defaults.js';
import type { GenerationOptions } from './options.js';
import type { ModelEvent, ModelTask, ToldToken } from './protocol.js';
import type { Reader, Reading } from './reader.js';
import { type ReplyServices, streamReply } from './reply.js';
import type { Sequence } from './slots.js';
import type { ChosenToken, TokenReport } from './task.js';

/** How many responses are ranked at once, before replies under way have their turn. */
const RANKED_TOGETHER = 8;

/** What is said of work that failed. */
export function failure(error: unknown): ModelEvent {
  return { type: 'failed', message: messageOf(error), user: error instanceof UserError };
}

/** The models that choose among replies, and that judge them. */
export type Helpers = Pick<ReplyServices, 'rerankers' | 'classifier'>;

type Piece = Extract<ModelEvent, { type: 'piece' }>;

/** Does one task of a model's thread and says over a port what comes of it. */
export class Service {
  readonly #decoder: Reader;
  readonly #tokenizer: Tokenizer;
  readonly #helpers: Helpers;
  readonly #defaults: GenerationOptions;
  readonly #port: MessagePort;
  #open = true;
  /** What has been chosen and not been told yet. */
  #chosen: ChosenToken[] = [];

  /** @param defaults how the model replies where a task does not say */
  constructor(
    decoder: Reader,
    tokenizer: Tokenizer,
    helpers: Helpers,
    defaults: GenerationOptions,
    port: MessagePort,
  ) {
    this.#decoder = decoder;
    this.#tokenizer = tokenizer;
    this.#helpers = helpers;
    this.#defaults = defaults;
    this.#port = port;
    port.once('close', () => {
      this.#open = false;
    });
  }

  /** Does the task; failures are said like everything else. */
  async serve(task: ModelTask): Promise<void> {
    try {
      if (task.type === 'reply') await this.#reply(task);
      else if (task.type === 'continuation') await this.#continue(task);
      else await this.#rank(task);
      this.#say({ type: 'done' });
    } catch (error) {
      this.#say(failure(error));
    }
  }

  async #reply(task: Extract<ModelTask, { type: 'reply' }>): Promise<void> {
    const { logprobs } = task;
    const services: ReplyServices = {
      ...this.#listeners(logprobs),
      ...this.#helpers,
      onIntervention: (intervention) => {
        this.#say({ type: 'intervention', ...intervention });
      },
      ...(task.candidates
        ? {
            onCandidates: (all) => {
              const copies = all.map(({ text, scores }) => ({ text, scores: { ...scores } }));
              this.#say({ type: 'candidates', candidates: copies });
            },
          }
        : {}),
    };
    const reader = this.#reader();
    const options = withDefaults(this.#defaults, task.options);
    const pieces = streamReply(reader, this.#tokenizer, task.history, options, services);
    for await (const text of pieces) this.#sayPiece(text, logprobs);
    this.#sayPiece('', logprobs);
  }

  async #continue(task: Extract<ModelTask, { type: 'continuation' }>): Promise<void> {
    const { options, logprobs } = task;
    const { n_positions: positions } = this.#decoder.config;
    const prompt = continuationPrompt(this.#tokenizer, task.prompt, positions);
    const listeners = this.#listeners(logprobs);
    if (task.echo) {
      if (logprobs !== undefined) await reportPrompt(this.#quietReader(), prompt, listeners.report);
      const bytes = prompt.flatMap((id) => this.#tokenOf(id).bytes);
      this.#sayPiece(new TextDecoder().decode(Uint8Array.from(bytes)), logprobs);
    }
    if (options.maxNewTokens === 0) {
      this.#say({ type: 'prompt', tokens: prompt.length, known: 0 });
      this.#say({
        type: 'end',
        promptTokens: prompt.length,
        completionTokens: 0,
        generatedTokens: 0,
        finish: 'length',
      });
      return;
    }
    const reader = this.#reader();
    for await (const text of streamContinuation(
      reader,
      this.#tokenizer,
      prompt,
      options,
      listeners,
    )) {
      this.#sayPiece(text, logprobs);
    }
    this.#sayPiece('', logprobs);
  }

  async #rank({ history, responses }: Extract<ModelTask, { type: 'ranking' }>): Promise<void> {
    const { ranker } = this.#helpers.rerankers ?? {};
    if (ranker === undefined) throw new UserError('No ranking model is loaded.');
    const scores: Record<string, number>[] = [];
    for (let start = 0; start < responses.length && this.#open; start += RANKED_TOGETHER) {
      const some = responses.slice(start, start + RANKED_TOGETHER);
      for (const each of await ranker.score(history, some)) scores.push({ ...each });
      await setImmediate();
    }
    this.#say({ type: 'ranks', scores });
  }

  #listeners(logprobs: number | undefined): {
    readonly report: TokenReport;
    readonly onSummary: NonNullable<ReplyServices['onSummary']>;
  } {
    return {
      report: {
        logprobs,
        onToken: (chosen) => {
          this.#chosen.push(chosen);
        },
      },
      onSummary: (summary) => {
        this.#say({ type: 'end', ...summary });
      },
    };
  }

  /** Nobody waits for the rest of what was given up: it ends before its next token. */
  #quietReader(): Reader {
    return {
      config: this.#decoder.config,
      read: (sequences) => this.#read(sequences),
    };
  }

  /** The same, and tells of the prompt when it has been read. */
  #reader(): Reader {
    let told = false;
    return {
      config: this.#decoder.config,
      read: async (sequences) => {
        const readings = await this.#read(sequences);
        if (!told) {
          told = true;
          const tokens = at(sequences, 0).prompt;
          this.#say({ type: 'prompt', tokens, known: at(readings, 0).known });
        }
        return readings;
      },
    };
  }

  #read(sequences: readonly Sequence[]): Promise<readonly Reading[]> {
    return this.#open
      ? this.#decoder.read(sequences)
      : Promise.reject(new Error('The work was given up.'));
  }

  #sayPiece(text: string, logprobs: number | undefined): void {
    if (text === '' && this.#chosen.length === 0) return;
    const chosen = this.#chosen;
    this.#chosen = [];
    const piece: Piece = { type: 'piece', text, tokens: chosen.length };
    if (logprobs !== undefined) piece.logprobs = chosen.map((token) => this.#told(token));
    this.#say(piece);
  }

  #told({ token, logprob, likeliest = [] }: ChosenToken): NonNullable<Piece['logprobs']>[number] {
    return {
      ...this.#tokenOf(token),
      ...(logprob === undefined ? {} : { logprob }),
      likeliest: likeliest.map((other) => ({
        ...this.#tokenOf(other.token),
        logprob: other.score,
      })),
    };
  }

  #tokenOf(id: number): ToldToken {
    const { endOfText } = this.#tokenizer;
    const bytes = id === endOfText ? Buffer.from(END_OF_TEXT) : this.#tokenizer.bytesOf(id);
    return { text: new TextDecoder().decode(bytes), bytes: [...bytes] };
  }

  #say(event: ModelEvent): void {
    this.#port.postMessage(event);
  }
}
