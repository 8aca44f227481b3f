import { at } from '../base/arrays.js';
import { type ModelEvent, type ModelTask, StopStrings } from '../decoding/index.js';
import type { ModelPool } from './model-pool.js';
import type { RequestScope } from './scope.js';

/** A token that is told of with its probability and the likeliest in its place. */
export type LoggedToken = NonNullable<Extract<ModelEvent, { type: 'piece' }>['logprobs']>[number];

/** A reply that was considered, with what decides among them. */
export type Candidate = Extract<ModelEvent, { type: 'candidates' }>['candidates'][number];

/** What the safety layer did about a reply. */
export type ToldIntervention = Pick<
  Extract<ModelEvent, { type: 'intervention' }>,
  'action' | 'message'
>;

/** A part of a choice's text. */
export interface Delta {
  readonly text: string;
  readonly logprobs: readonly LoggedToken[];
}

/** How a choice ended. */
export interface ChoiceEnd {
  readonly finish: 'stop' | 'length' | 'content_filter';
  /** All that was considered, the best first, where that was asked for. */
  readonly candidates?: readonly Candidate[];
  /** What the safety layer did, where it did anything. */
  readonly interventions?: readonly ToldIntervention[];
}

/** Who is told of choices as they come; each choice ends once. */
export interface ChoiceListener {
  onDelta(choice: number, delta: Delta): void;
  onEnd(choice: number, end: ChoiceEnd): void;
}

/** A choice as it has been generated. */
export interface Made {
  text: string;
  readonly tokens: LoggedToken[];
  end: ChoiceEnd;
}

/** What a request wants generated. */
export interface ChoicesWanted {
  /** The task of each choice. */
  readonly tasks: readonly ModelTask[];
  /** How many tasks in a row have the same prompt. */
  readonly perPrompt: number;
  readonly stops: readonly string[];
}

/** Tokens of a request, counted as OpenAI counts them: a prompt once, however many choices it has. */
export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details: { readonly cached_tokens: number };
}

/**
 * Generates the choices of a request side by side. The first of each prompt goes ahead, so that the
 * others find the prompt already read.
 *
 * @throws what ended the first choice that failed; the others are given up.
 */
export async function runChoices(
  pool: ModelPool,
  scope: RequestScope,
  wanted: ChoicesWanted,
  listener: ChoiceListener,
): Promise<Usage> {
  return scope.track(run(pool, scope, wanted, listener));
}

async function run(
  pool: ModelPool,
  scope: RequestScope,
  { tasks, perPrompt, stops }: ChoicesWanted,
  listener: ChoiceListener,
): Promise<Usage> {
  const rest = new AbortController();
  const giveUp = () => {
    rest.abort(scope.signal.reason);
  };
  scope.signal.addEventListener('abort', giveUp, { once: true });
  if (scope.signal.aborted) giveUp();
  const choices = tasks.map(
    (task, index) => new Choice(index, task, stops, rest.signal, listener, scope),
  );
  const running = choices.map(async (choice, index) => {
    const first = choices[index - (index % perPrompt)];
    if (first !== undefined && first !== choice) await first.promptRead;
    await choice.run(pool, index > 0);
  });
  try {
    await Promise.all(running);
  } catch (error) {
    rest.abort(error);
    await Promise.allSettled(running);
    throw error;
  } finally {
    scope.signal.removeEventListener('abort', giveUp);
    note(scope, choices, perPrompt);
  }
  return usageOf(choices, perPrompt);
}

/** The choices of a request, whole; see {@link runChoices}. */
export async function makeChoices(
  pool: ModelPool,
  scope: RequestScope,
  wanted: ChoicesWanted,
): Promise<{ readonly made: readonly Made[]; readonly usage: Usage }> {
  const made = wanted.tasks.map((): Made => ({ text: '', tokens: [], end: { finish: 'stop' } }));
  const usage = await runChoices(pool, scope, wanted, {
    onDelta: (index, { text, logprobs }) => {
      const choice = at(made, index);
      choice.text += text;
      choice.tokens.push(...logprobs);
    },
    onEnd: (index, end) => {
      at(made, index).end = end;
    },
  });
  return { made, usage };
}

/** One answer as it is generated. */
class Choice {
  /** Resolves when the prompt has been read, or never will be. */
  readonly promptRead: Promise<void>;
  promptTokens = 0;
  cachedTokens = 0;
  completionTokens = 0;
  /** What the safety layer has done. */
  readonly interventions: ToldIntervention[] = [];
  readonly #index: number;
  readonly #task: ModelTask;
  readonly #stops: StopStrings;
  readonly #listener: ChoiceListener;
  readonly #scope: RequestScope;
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal;
  #onPromptRead: () => void = () => undefined;
  /** The prompt is told first, and is not watched for the strings that end an answer. */
  #echo: boolean;
  #stopped = false;
  #finish: ChoiceEnd['finish'] = 'stop';
  #candidates: readonly Candidate[] | undefined;
  /** How much text came, and how much of it has been shown. */
  #received = 0;
  #shown = 0;
  /** Tokens whose text has not been shown yet, with the place where it starts. */
  #waiting: { readonly start: number; readonly token: LoggedToken }[] = [];

  constructor(
    index: number,
    task: ModelTask,
    stops: readonly string[],
    outer: AbortSignal,
    listener: ChoiceListener,
    scope: RequestScope,
  ) {
    this.#index = index;
    this.#task = task;
    this.#stops = new StopStrings(stops);
    this.#outer = outer;
    this.#listener = listener;
    this.#scope = scope;
    this.#echo = task.type === 'continuation' && task.echo;
    this.promptRead = new Promise((resolve) => {
      this.#onPromptRead = resolve;
    });
  }

  async run(pool: ModelPool, admitted: boolean): Promise<void> {
    const stop = () => {
      this.#controller.abort(this.#outer.reason);
    };
    this.#outer.addEventListener('abort', stop, { once: true });
    if (this.#outer.aborted) stop();
    try {
      await pool.run(this.#task, {
        signal: this.#controller.signal,
        admitted,
        onEvent: (event) => {
          this.#take(event);
        },
      });
    } catch (error) {
      if (!this.#stopped) throw error;
    } finally {
      this.#outer.removeEventListener('abort', stop);
      this.#onPromptRead();
    }
    if (!this.#stopped) this.#show(this.#stops.end());
    const candidates = this.#candidates;
    const { interventions } = this;
    this.#listener.onEnd(this.#index, {
      finish: this.#finish,
      ...(candidates === undefined ? {} : { candidates }),
      ...(interventions.length === 0 ? {} : { interventions }),
    });
  }

  #take(event: ModelEvent): void {
    if (this.#stopped) return;
    if (event.type === 'prompt') {
      this.promptTokens = event.tokens;
      this.cachedTokens = event.known;
      this.#onPromptRead();
    } else if (event.type === 'piece') this.#takePiece(event);
    else if (event.type === 'candidates') this.#candidates = event.candidates;
    else if (event.type === 'intervention') {
      this.interventions.push({ action: event.action, message: event.message });
    } else if (event.type === 'end') {
      this.completionTokens = event.generatedTokens;
      const { finish } = event;
      this.#finish = finish === 'content-filter' ? 'content_filter' : finish;
    }
  }

  #takePiece({ text, tokens, logprobs = [] }: Extract<ModelEvent, { type: 'piece' }>): void {
    const start = this.#received;
    this.#received += text.length;
    this.#waiting.push(...logprobs.map((token) => ({ start, token })));
    if (this.#echo) {
      this.#echo = false;
      this.#show(text);
      return;
    }
    this.completionTokens += tokens;
    const shown = this.#stops.push(text);
    this.#show(shown.text);
    if (shown.stopped) {
      this.#stopped = true;
      this.#finish = 'stop';
      this.#controller.abort(new Error('A stop string came.'));
    }
  }

  #show(text: string): void {
    this.#shown += text.length;
    const logprobs = this.#waiting
      .filter(({ start }) => start < this.#shown || this.#shown === this.#received)
      .map(({ token }) => token);
    this.#waiting = this.#waiting.slice(logprobs.length);
    if (text === '' && logprobs.length === 0) return;
    this.#scope.noteText();
    this.#listener.onDelta(this.#index, { text, logprobs });
  }
}

function usageOf(choices: readonly Choice[], perPrompt: number): Usage {
  const firsts = choices.filter((_, index) => index % perPrompt === 0);
  const total = (some: readonly Choice[], count: (choice: Choice) => number) =>
    some.reduce((sum, choice) => sum + count(choice), 0);
  const prompt = total(firsts, ({ promptTokens }) => promptTokens);
  const completion = total(choices, ({ completionTokens }) => completionTokens);
  const cached = total(firsts, ({ cachedTokens }) => cachedTokens);
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: cached },
  };
}

function note({ notes }: RequestScope, choices: readonly Choice[], perPrompt: number): void {
  const usage = usageOf(choices, perPrompt);
  notes.promptTokens = usage.prompt_tokens;
  notes.cachedTokens = usage.prompt_tokens_details.cached_tokens;
  notes.completionTokens = usage.completion_tokens;
  const interventions = choices.flatMap((choice) => choice.interventions);
  if (interventions.length > 0) notes.interventions = interventions.map(({ action }) => action);
}
