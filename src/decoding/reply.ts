import { at } from '../base/arrays.js';
import { UserError } from '../base/errors.js';
import type { Tokenizer } from '../tokenizer/index.js';
import type { Constraint } from './constraints.js';
import type { Reader } from './reader.js';
import { dialogueConstraints } from './dialogue.js';
import { searchOf, streamTokens } from './generate.js';
import { personaPrompt } from './history.js';
import {
  type CompleteDecodingOptions,
  type CompleteGenerationOptions,
  DEFAULT_NEW_TOKENS,
  type GenerationOptions,
  generationOptions,
} from './options.js';
import type { Reranker, Scores } from './rerank.js';
import { BlockList, type Intervention } from './safety.js';
import { finishSearch, type Generation, type Search } from './search.js';
import { freshSeed, searchTask, type TokenReport } from './task.js';

/** How often a reply is generated anew before it is refused. */
const SAFETY_ATTEMPTS = 3;

/** A reply that was considered. */
export interface ReplyCandidate {
  readonly text: string;
  /** In beam search, the beam's score; what the rerankers say; `final` decides. */
  readonly scores: Scores;
}

/** What replying needs besides the decoder and the conversation. */
export interface ReplyServices {
  /** What chooses among candidates, by the name of the option `rerank`. */
  readonly rerankers?: Partial<Record<'mmi' | 'ranker', Reranker>>;
  /** Is told of all candidates, the best first, before the reply comes. */
  readonly onCandidates?: (candidates: readonly ReplyCandidate[]) => void;
  /** Is told of each reply that is not said. */
  readonly onIntervention?: (intervention: Intervention) => void;
  /** Who is told of the tokens as they are chosen; not where candidates are. */
  readonly report?: TokenReport;
  /** Is told how the reply ended, after its last piece. */
  readonly onEnd?: (end: ReplyEnd) => void;
}

/** How a reply ended. */
export interface ReplyEnd {
  /** How many tokens were generated, those of all candidates. */
  readonly tokens: number;
  /** Whether the model ended it, rather than the limit of its length. */
  readonly ended: boolean;
}

/** What a reply is generated from. */
interface ReplyPlan {
  readonly prompt: readonly number[];
  readonly constraints: readonly Constraint[];
  readonly options: CompleteDecodingOptions;
}

function planReply(
  positions: number,
  tokenizer: Tokenizer,
  history: readonly string[],
  options: CompleteGenerationOptions,
): ReplyPlan {
  const { maxNewTokens, maxLength, maxHistoryTurns, persona } = options;
  // A reply has room for as much as it may have, but the prompt for at least half.
  const wanted = maxNewTokens ?? (maxLength === undefined ? DEFAULT_NEW_TOKENS : 1);
  const room = Math.min(positions, maxLength ?? positions);
  const longest = Math.max(1, room - Math.min(wanted, Math.floor(room / 2)));
  const prompt = personaPrompt(tokenizer, persona, history, longest, maxHistoryTurns);
  const constraints = dialogueConstraints(tokenizer, history, prompt.length, options);
  return { prompt, constraints, options };
}

/** The search for a reply to a conversation, for {@link runSearches}. */
export function replySearch(
  positions: number,
  tokenizer: Tokenizer,
  history: readonly string[],
  options: GenerationOptions = {},
): Search {
  const plan = planReply(positions, tokenizer, history, generationOptions(options));
  return searchOf(
    searchTask(plan.prompt, tokenizer.endOfText, positions, plan.options, plan.constraints),
  );
}

/** The text of a generated reply. */
export function replyText(tokenizer: Tokenizer, { tokens }: Generation): string {
  return tokenizer.decode(tokens).trim();
}

/**
 * A reply to the last turn of a conversation, piece by piece as it is generated. With candidates
 * or safety, it comes in one piece when it is chosen.
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
  if (complete.numReturnSequences > 1 || complete.safety || services.onCandidates !== undefined) {
    yield await chooseReply(reader, tokenizer, history, complete, services);
    return;
  }
  const plan = planReply(reader.config.n_positions, tokenizer, history, complete);
  const text = tokenizer.decoder();
  let started = false;
  // White space is held back until something follows it, so that none is at the end.
  let held = '';
  const tokens = streamTokens(
    reader,
    tokenizer.endOfText,
    plan.prompt,
    plan.options,
    plan.constraints,
    services.report,
  );
  for await (const token of tellingEnd(tokens, services.onEnd)) {
    const grown: string = held + text.push(token);
    const shown: string = started ? grown.trimEnd() : grown.trim();
    held = shown === '' && !started ? '' : grown.slice(grown.trimEnd().length);
    started ||= shown !== '';
    if (shown !== '') yield shown;
  }
  const rest = text.end();
  if (rest !== '') yield held + rest;
}

/** The same tokens; tells how they ended. */
export async function* tellingEnd(
  tokens: AsyncGenerator<number, readonly Generation[], undefined>,
  onEnd: ReplyServices['onEnd'],
): AsyncGenerator<number, void, undefined> {
  const generations = yield* tokens;
  onEnd?.(replyEnd(generations, generations[0]));
}

function replyEnd(
  generations: readonly Generation[],
  chosen: Generation | undefined,
  before = 0,
): ReplyEnd {
  const tokens = generations.reduce((total, generation) => total + generation.tokens.length, 0);
  return { tokens: before + tokens, ended: chosen?.ended ?? true };
}

/** Generates candidates, ranks them and takes the best that may be said. */
async function chooseReply(
  reader: Reader,
  tokenizer: Tokenizer,
  history: readonly string[],
  options: CompleteGenerationOptions,
  services: ReplyServices,
): Promise<string> {
  const blockList = options.safety ? new BlockList(options.blockList) : undefined;
  const plan = planReply(reader.config.n_positions, tokenizer, history, options);
  const seed = options.seed ?? freshSeed();
  // Without chance, every attempt would be the same.
  const attempts = options.doSample && blockList !== undefined ? SAFETY_ATTEMPTS : 1;
  let entry = '';
  let generated = 0;
  for (let attempt = 0; attempt < attempts; attempt++) {
    const drawn = { ...plan.options, seed: seed + attempt * 2 ** 20 };
    const task = searchTask(
      plan.prompt,
      tokenizer.endOfText,
      reader.config.n_positions,
      drawn,
      plan.constraints,
    );
    const generations = await finishSearch(reader, searchOf(task));
    const ranked = await rankCandidates(tokenizer, history, generations, options, services);
    services.onCandidates?.(ranked);
    for (const { text } of ranked) {
      const blocked = blockList?.find(text);
      if (blocked === undefined) {
        const chosen = generations.find((generation) => replyText(tokenizer, generation) === text);
        services.onEnd?.(replyEnd(generations, chosen, generated));
        return text;
      }
      ({ entry } = blocked);
      services.onIntervention?.({
        action: 'withheld',
        entry,
        message: `A reply was withheld because it contains "${blocked.found}".`,
      });
    }
    generated = replyEnd(generations, undefined, generated).tokens;
  }
  services.onIntervention?.({
    action: 'refused',
    entry,
    message: 'Every attempt at a reply had to be withheld.',
  });
  services.onEnd?.({ tokens: generated, ended: true });
  return options.refusal;
}

async function rankCandidates(
  tokenizer: Tokenizer,
  history: readonly string[],
  generations: readonly Generation[],
  { rerank }: CompleteGenerationOptions,
  { rerankers }: ReplyServices,
): Promise<readonly ReplyCandidate[]> {
  const texts = generations.map((generation) => replyText(tokenizer, generation));
  if (rerank === 'none') {
    return texts.map((text, index): ReplyCandidate => {
      const score = generations[index]?.score;
      return { text, scores: score === undefined ? {} : { final: score } };
    });
  }
  const reranker = rerankers?.[rerank];
  if (reranker === undefined) {
    throw new UserError(
      rerank === 'mmi'
        ? 'Generation option rerank: mmi needs a reverse model; load one with reverseModel.'
        : 'Generation option rerank: ranker needs ranking models; load some with rankers.',
    );
  }
  const different = [...new Set(texts)];
  const scores = await reranker.score(history, different);
  return different
    .map((text, index): ReplyCandidate => ({ text, scores: at(scores, index) }))
    .sort((a, b) => (b.scores.final ?? 0) - (a.scores.final ?? 0));
}
