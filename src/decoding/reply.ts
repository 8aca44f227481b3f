import { at } from '../base/arrays.js';
import { UserError } from '../base/errors.js';
import type { Tokenizer } from '../tokenizer/index.js';
import type { Constraint } from './constraints.js';
import type { Reader } from './reader.js';
import { dialogueConstraints, forbidStarts } from './dialogue.js';
import { searchOf } from './generate.js';
import { personaPrompt } from './history.js';
import {
  type CompleteDecodingOptions,
  type CompleteGenerationOptions,
  DEFAULT_NEW_TOKENS,
  type GenerationOptions,
  generationOptions,
} from './options.js';
import type { Reranker, Scores } from './rerank.js';
import { BlockList, type Intervention, type SafetyClassifier, SafetyGuard } from './safety.js';
import { finishSearch, type Generation, runSearch, type Search } from './search.js';
import { freshSeed, searchTask, type TokenReport } from './task.js';

/** How often a reply is generated anew before it is refused. */
const SAFETY_ATTEMPTS = 3;

/** A reply that was considered. */
export interface ReplyCandidate {
  readonly text: string;
  /** In beam search, the beam's score; what the rerankers say; `final` decides. */
  readonly scores: Scores;
}

/** What the option `rerank` calls the ways to choose among candidates. */
export type RerankerName = Exclude<CompleteGenerationOptions['rerank'], 'none'>;

const NEEDED: Readonly<Record<RerankerName, string>> = {
  mmi: 'needs a reverse model; load one with reverseModel',
  ranker: 'needs ranking models; load some with rankers',
  value: 'needs a model with a value head; train one with dialogpt train-value-head',
};

/** What is known when a reply has ended. */
export interface ReplySummary {
  /** The tokens that the reply was generated after. */
  readonly promptTokens: number;
  /** The tokens of the reply. */
  readonly completionTokens: number;
  /** The tokens of all that was generated, other candidates and withheld replies included. */
  readonly generatedTokens: number;
  /** Whether the model ended the reply, its length did, or the safety layer. */
  readonly finish: 'stop' | 'length' | 'content-filter';
}

/** What replying needs besides the decoder and the conversation. */
export interface ReplyServices {
  /** What chooses among candidates, by the name of the option `rerank`. */
  readonly rerankers?: Partial<Record<RerankerName, Reranker>>;
  /** What looks at replies besides the block list, where the option `safety` is on. */
  readonly classifier?: SafetyClassifier;
  /** Is told of all candidates, the best first, before the reply comes. */
  readonly onCandidates?: (candidates: readonly ReplyCandidate[]) => void;
  /** Is told of each reply that is not said. */
  readonly onIntervention?: (intervention: Intervention) => void;
  /** Is told of the tokens of a reply that comes in pieces, as they are chosen. */
  readonly report?: TokenReport;
  /** Is told when the reply has ended. */
  readonly onSummary?: (summary: ReplySummary) => void;
}

/** What a reply is generated from. */
interface ReplyPlan {
  readonly prompt: readonly number[];
  readonly constraints: readonly Constraint[];
  readonly options: CompleteGenerationOptions;
  readonly guard: SafetyGuard | undefined;
  /**
   * The search of an attempt, which finds others than those before: by other random numbers, or where
   * nothing is drawn, by not starting as they did.
   *
   * @param withheld the tokens that replies of earlier attempts start with
   */
  search(attempt: number, withheld: ReadonlySet<number>, report?: TokenReport): Search;
  /** How many attempts there are. */
  readonly attempts: number;
}

function planReply(
  positions: number,
  tokenizer: Tokenizer,
  history: readonly string[],
  options: CompleteGenerationOptions,
  classifier?: SafetyClassifier,
): ReplyPlan {
  const { maxNewTokens, maxLength, maxHistoryTurns, persona } = options;
  // A reply has room for as much as it may have, but the prompt for at least half.
  const wanted = maxNewTokens ?? (maxLength === undefined ? DEFAULT_NEW_TOKENS : 1);
  const room = Math.min(positions, maxLength ?? positions);
  const longest = Math.max(1, room - Math.min(wanted, Math.floor(room / 2)));
  const prompt = personaPrompt(tokenizer, persona, history, longest, maxHistoryTurns);
  const constraints = dialogueConstraints(tokenizer, history, prompt.length, options);
  const seed = options.seed ?? freshSeed();
  const { safety, blockList, safetyThreshold } = options;
  const guard = safety
    ? new SafetyGuard(new BlockList(blockList), classifier, safetyThreshold)
    : undefined;
  return {
    prompt,
    constraints,
    options,
    guard,
    search: (attempt, withheld, report) => {
      const drawn: CompleteDecodingOptions = { ...options, seed: seed + attempt * 2 ** 20 };
      const starts = options.doSample ? [] : [forbidStarts(withheld, prompt.length)];
      const all = [...starts, ...constraints];
      return searchOf(searchTask(prompt, tokenizer.endOfText, positions, drawn, all, report));
    },
    attempts: guard === undefined ? 1 : SAFETY_ATTEMPTS,
  };
}

/** The search for a reply to a conversation, for {@link runSearches}. */
export function replySearch(
  positions: number,
  tokenizer: Tokenizer,
  history: readonly string[],
  options: GenerationOptions = {},
): Search {
  return planReply(positions, tokenizer, history, generationOptions(options)).search(0, new Set());
}

/** The text of a generated reply. */
export function replyText(tokenizer: Tokenizer, { tokens }: Generation): string {
  return tokenizer.decode(tokens).trim();
}

/**
 * A reply to the last turn of a conversation, piece by piece as it is generated. It comes in one
 * piece where something has to be known of it before: with candidates, a classifier, or if
 * `onCandidates` is given.
 *
 * With `safety`, no piece of a blocked entry is ever shown: what could still become one is held
 * back. A reply that turns out to be blocked is generated anew if nothing of it has been shown, and
 * ends where it is otherwise. Each time, `onIntervention` is told.
 *
 * @param history the turns so far, oldest first
 * @throws UserError if an option cannot be, or there is nothing to reply to.
 */
export async function* streamReply(
  reader: Reader,
  tokenizer: Tokenizer,
  history: readonly string[],
  options: GenerationOptions = {},
  services: ReplyServices = {},
): AsyncGenerator<string, void, undefined> {
  const complete = generationOptions(options);
  const { n_positions: positions } = reader.config;
  const plan = planReply(positions, tokenizer, history, complete, services.classifier);
  const whole =
    complete.numReturnSequences > 1 ||
    services.onCandidates !== undefined ||
    plan.guard?.needsWhole === true;
  if (whole) yield await chooseReply(reader, tokenizer, history, plan, services);
  else yield* speak(reader, tokenizer, plan, services);
}

/** Says a reply while it is generated. */
async function* speak(
  reader: Reader,
  tokenizer: Tokenizer,
  plan: ReplyPlan,
  services: ReplyServices,
): AsyncGenerator<string, void, undefined> {
  const { guard, attempts } = plan;
  const promptTokens = plan.prompt.length;
  const withheld = new Set<number>();
  let generatedTokens = 0;
  let objection;
  for (let attempt = 0; attempt < attempts; attempt++) {
    objection = undefined;
    const decoder = tokenizer.decoder();
    const tokens = runSearch(reader, plan.search(attempt, withheld, services.report));
    let text = '';
    let shown = 0;
    let completionTokens = 0;
    let step = await tokens.next();
    for (; step.done !== true; step = await tokens.next()) {
      generatedTokens += 1;
      completionTokens += 1;
      if (completionTokens === 1) withheld.add(step.value);
      // A search with beams tells nobody which tokens it chose: it knows late, and of no probabilities.
      if (plan.options.numBeams > 1) services.report?.onToken({ token: step.value });
      text = (text + decoder.push(step.value)).trimStart();
      objection = guard?.objectSoFar(text);
      if (objection !== undefined) break;
      // White space is held back until something follows it, so that none is at the end.
      const safe = text.slice(0, guard?.safeLength(text)).trimEnd().length;
      if (safe > shown) yield text.slice(shown, safe);
      shown = Math.max(shown, safe);
    }
    if (objection === undefined) {
      text = (text + decoder.end()).trim();
      objection = await guard?.object(text);
    }
    if (objection === undefined) {
      if (text.length > shown) yield text.slice(shown);
      const ended = step.done === true && step.value[0]?.ended === true;
      const finish = ended ? 'stop' : 'length';
      services.onSummary?.({ promptTokens, completionTokens, generatedTokens, finish });
      return;
    }
    await tokens.return([]);
    const { entry, reason } = objection;
    if (shown > 0) {
      const message = `The rest of a reply was withheld because ${reason}.`;
      services.onIntervention?.({ action: 'cut', entry, message });
      const finish = 'content-filter';
      services.onSummary?.({ promptTokens, completionTokens, generatedTokens, finish });
      return;
    }
    const message = `A reply was withheld because ${reason}.`;
    services.onIntervention?.({ action: 'withheld', entry, message });
  }
  yield refuse(tokenizer, plan, objection?.entry ?? '', generatedTokens, services);
}

/** Generates candidates, ranks them and takes the best that may be said. */
async function chooseReply(
  reader: Reader,
  tokenizer: Tokenizer,
  history: readonly string[],
  plan: ReplyPlan,
  services: ReplyServices,
): Promise<string> {
  const { guard, attempts, options } = plan;
  const withheld = new Set<number>();
  let entry = '';
  let generatedTokens = 0;
  for (let attempt = 0; attempt < attempts; attempt++) {
    const generations = await finishSearch(reader, plan.search(attempt, withheld));
    for (const { tokens } of generations) {
      generatedTokens += tokens.length;
      for (const token of tokens.slice(0, 1)) withheld.add(token);
    }
    const ranked = await rankCandidates(tokenizer, history, generations, options, services);
    services.onCandidates?.(ranked.map(({ text, scores }) => ({ text, scores })));
    for (const { text, generation } of ranked) {
      const objection = await guard?.object(text);
      if (objection === undefined) {
        services.onSummary?.({
          promptTokens: plan.prompt.length,
          completionTokens: generation.tokens.length,
          generatedTokens,
          finish: generation.ended ? 'stop' : 'length',
        });
        return text;
      }
      ({ entry } = objection);
      const message = `A reply was withheld because ${objection.reason}.`;
      services.onIntervention?.({ action: 'withheld', entry, message });
    }
  }
  return refuse(tokenizer, plan, entry, generatedTokens, services);
}

/** Says that nothing could be said. */
function refuse(
  tokenizer: Tokenizer,
  { prompt, options }: ReplyPlan,
  entry: string,
  generatedTokens: number,
  services: ReplyServices,
): string {
  const message = 'Every attempt at a reply had to be withheld.';
  services.onIntervention?.({ action: 'refused', entry, message });
  services.onSummary?.({
    promptTokens: prompt.length,
    completionTokens: tokenizer.encode(options.refusal).length,
    generatedTokens,
    finish: 'content-filter',
  });
  return options.refusal;
}

interface RankedGeneration extends ReplyCandidate {
  readonly generation: Generation;
}

async function rankCandidates(
  tokenizer: Tokenizer,
  history: readonly string[],
  generations: readonly Generation[],
  { rerank, maxHistoryTurns }: CompleteGenerationOptions,
  { rerankers }: ReplyServices,
): Promise<readonly RankedGeneration[]> {
  const all = generations.map((generation) => ({
    text: replyText(tokenizer, generation),
    generation,
  }));
  if (rerank === 'none') {
    return all.map(({ text, generation }) => {
      const { score } = generation;
      return { text, generation, scores: score === undefined ? {} : { final: score } };
    });
  }
  const reranker = rerankers?.[rerank];
  if (reranker === undefined) {
    throw new UserError(`Generation option rerank: ${rerank} ${NEEDED[rerank]}.`);
  }
  const different = [...new Map(all.toReversed().map((one) => [one.text, one])).values()].reverse();
  // Candidates are judged by the turns that they reply to.
  const scores = await reranker.score(
    maxHistoryTurns === 0 ? history : history.slice(-maxHistoryTurns),
    different.map(({ text }) => text),
  );
  return different
    .map((one, index): RankedGeneration => ({ ...one, scores: at(scores, index) }))
    .sort((a, b) => (b.scores.final ?? 0) - (a.scores.final ?? 0));
}
