import { z } from 'zod';
import { UserError } from '../base/errors.js';

const whole = z.number().int();
const count = whole.nonnegative();
const tokens = z.array(z.array(count).min(1));

const decodingShape = {
  /** The most tokens to generate; the default is 60, or what `maxLength` allows. */
  maxNewTokens: whole.positive().optional(),
  /**
   * The fewest tokens to generate; the end of text is not chosen before. The default is 1, or what
   * `minLength` asks for.
   */
  minNewTokens: count.default(1),
  /** The most tokens, the prompt included; instead of `maxNewTokens`. */
  maxLength: whole.positive().optional(),
  /** The fewest tokens, the prompt included; instead of `minNewTokens`. */
  minLength: count.default(0),
  /**
   * Draw tokens at random by their probabilities; without it, take the likeliest. The default is
   * to draw, except in beam search and contrastive search.
   */
  doSample: z.boolean().optional(),
  /** Divides the logits: below 1 makes likely tokens likelier still. */
  temperature: z.number().positive().default(0.7),
  /** Draw from this many likeliest tokens only; 0 is all. In contrastive search, how many compete. */
  topK: count.default(40),
  /** Draw from the likeliest tokens that together have this probability. */
  topP: z.number().gt(0).max(1).default(1),
  /** Draw only from tokens with at least this share of the likeliest token's probability. */
  minP: z.number().min(0).max(1).default(0),
  /** Draw from the most typical tokens that together have this probability (Meister et al. 2022). */
  typicalP: z.number().gt(0).max(1).default(1),
  /** Above 1, makes tokens that were there before less likely (Keskar et al. 2019). */
  repetitionPenalty: z.number().positive().default(1),
  /** What a token that was generated before loses of its logit; below 0, what it gains (OpenAI). */
  presencePenalty: z.number().default(0),
  /** The same for each time that it was generated. */
  frequencyPenalty: z.number().default(0),
  /** What is added to the logits of tokens: pairs of a token and a number. */
  logitBias: z.array(z.tuple([count, z.number()])).default([]),
  /** No run of this many tokens comes twice, the prompt included; 0 allows all. */
  noRepeatNgramSize: count.default(0),
  /** Runs of tokens that are never generated. */
  badWordsIds: tokens.default([]),
  /** How many continuations are kept side by side; above 1 is beam search. */
  numBeams: whole.positive().default(1),
  /** How many groups the beams are divided into, which avoid each other's tokens. */
  numBeamGroups: whole.positive().default(1),
  /** What a token loses for each earlier group that chose it too (Vijayakumar et al. 2016). */
  diversityPenalty: z.number().nonnegative().default(0),
  /** The power of the length that a beam's score is divided by: above 0 favours long ones. */
  lengthPenalty: z.number().default(1),
  /** When a beam search ends: at `numBeams` finished beams, or as soon as none can be beaten. */
  earlyStopping: z.union([z.boolean(), z.literal('never')]).default(false),
  /** How many sequences are wanted. */
  numReturnSequences: whole.positive().default(1),
  /** Above 0 is contrastive search: the weight of being unlike what came before (Su et al. 2022). */
  penaltyAlpha: z.number().min(0).max(1).default(0),
  /** Where the drawing of random numbers starts; without it, every reply differs. */
  seed: count.optional(),
};

const dialogueShape = {
  /** The most turns of the conversation that are read, the last included; 0 is all there is room for. */
  maxHistoryTurns: count.default(5),
  /** No run of this many tokens comes twice within a reply; 0 allows all. */
  noRepeatReplyNgramSize: count.default(3),
  /** No run of this many tokens comes again that a reply had before; 0 allows all. */
  noRepeatHistoryNgramSize: count.default(6),
  /** Whose turns that looks at: those of the one who replies, or all, where one model speaks for all. */
  noRepeatHistoryTurns: z.enum(['own', 'all']).default('own'),
  /** Words and phrases that are never generated, in any of the usual spellings of case. */
  badWords: z.array(z.string().trim().min(1)).default([]),
  /** How many replies are generated for a reranker to choose from; as `numReturnSequences`. */
  numCandidates: whole.positive().default(1),
  /** What chooses among the candidates: the first is taken, or a model ranks them. */
  rerank: z.enum(['none', 'mmi', 'ranker', 'value']).default('none'),
  /** Whether replies with blocked words are withheld, or those that a classifier objects to. */
  safety: z.boolean().default(false),
  /** The words and phrases that {@link GenerationOptions.safety} blocks; a short list by default. */
  blockList: z.array(z.string().trim().min(1)).optional(),
  /** The probability from which on the classifier that the model was loaded with objects. */
  safetyThreshold: z.number().gt(0).max(1).default(0.5),
  /** What is said where every attempt had to be withheld. */
  refusal: z.string().trim().min(1).default("I'd rather not say."),
  /** What the speaker is like, one sentence each; read before the conversation and never left out. */
  persona: z.array(z.string()).default([]),
};

const decodingSchema = z.strictObject(decodingShape);
const replySchema = z.strictObject({ ...decodingShape, ...dialogueShape });

/** How tokens are chosen; names and meanings are those of Hugging Face's `generate`. */
export type DecodingOptions = z.input<typeof decodingSchema>;

/** {@link DecodingOptions}, complete and checked. */
export type CompleteDecodingOptions = z.infer<typeof decodingSchema> & {
  readonly doSample: boolean;
};

/** How a reply is generated: {@link DecodingOptions} and what concerns conversations. */
export type GenerationOptions = z.input<typeof replySchema>;

/** {@link GenerationOptions}, complete and checked. */
export type CompleteGenerationOptions = z.infer<typeof replySchema> & {
  readonly doSample: boolean;
};

/**
 * Completes and checks generation options.
 *
 * @throws UserError naming the option that cannot be, or contradicts another.
 */
export function generationOptions(options: GenerationOptions = {}): CompleteGenerationOptions {
  const complete = checked(options, parsed(replySchema.safeParse(options)));
  if (options.numCandidates !== undefined && options.numReturnSequences !== undefined) {
    throw new UserError(
      'Generation option numCandidates: give it or numReturnSequences, not both.',
    );
  }
  if (complete.rerank !== 'none' && complete.numCandidates * complete.numReturnSequences < 2) {
    throw new UserError('Generation option rerank: needs at least 2 of numCandidates.');
  }
  if (options.blockList !== undefined && !complete.safety) {
    throw new UserError('Generation option blockList: is not used without safety.');
  }
  if (options.safetyThreshold !== undefined && !complete.safety) {
    throw new UserError('Generation option safetyThreshold: is not used without safety.');
  }
  // The same checks hold for as many sequences as there are to be candidates.
  const numReturnSequences = complete.numReturnSequences * complete.numCandidates;
  return checked(options, { ...complete, numReturnSequences });
}

/** The names of all {@link GenerationOptions}. */
export const GENERATION_OPTION_NAMES: readonly string[] = Object.keys(replySchema.shape);

/** Completes and checks the options that choose tokens, as {@link generationOptions} does. */
export function decodingOptions(options: DecodingOptions = {}): CompleteDecodingOptions {
  return checked(options, parsed(decodingSchema.safeParse(options)));
}

function parsed<T>(result: z.ZodSafeParseResult<T>): T {
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  if (issue?.code === 'unrecognized_keys') {
    throw new UserError(`Generation option ${issue.keys.join(', ')}: there is no such option.`);
  }
  throw new UserError(`Generation option ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}.`);
}

/** Settles the defaults that hang on other options, and throws where options contradict each other. */
function checked<T extends z.infer<typeof decodingSchema>>(
  given: GenerationOptions,
  options: T,
): T & { readonly doSample: boolean } {
  const settled = {
    ...options,
    doSample: options.doSample ?? (options.numBeams === 1 && options.penaltyAlpha === 0),
    minNewTokens: given.minLength === undefined ? options.minNewTokens : 0,
  };
  const contradiction = contradictionOf(given, settled);
  if (contradiction !== undefined) {
    const [option, reason] = contradiction;
    throw new UserError(`Generation option ${option}: ${reason}.`);
  }
  return settled;
}

type Option = keyof GenerationOptions;

/** The first option that contradicts another, and what is wrong with it. */
function contradictionOf(
  given: GenerationOptions,
  options: CompleteDecodingOptions,
): readonly [Option, string] | undefined {
  const { doSample, numBeams, numBeamGroups, numReturnSequences, penaltyAlpha, topK } = options;
  const firstGiven = (names: readonly Option[]) => names.find((name) => given[name] !== undefined);
  const { maxNewTokens, maxLength } = options;
  if (maxNewTokens !== undefined && maxLength !== undefined) {
    return ['maxLength', 'give it or maxNewTokens, not both'];
  }
  if (given.minNewTokens !== undefined && given.minLength !== undefined) {
    return ['minLength', 'give it or minNewTokens, not both'];
  }
  const mostNewTokens = maxNewTokens ?? (maxLength === undefined ? DEFAULT_NEW_TOKENS : Infinity);
  if (options.minNewTokens > mostNewTokens) {
    return ['minNewTokens', 'is more than maxNewTokens'];
  }
  if (options.minLength > (maxLength ?? Infinity)) return ['minLength', 'is more than maxLength'];

  if (penaltyAlpha > 0) {
    if (doSample) return ['penaltyAlpha', 'contrastive search draws nothing; leave out doSample'];
    if (numBeams > 1)
      return ['penaltyAlpha', 'contrastive search has no beams; leave out numBeams'];
    if (topK < 2) return ['topK', 'contrastive search needs at least 2 tokens that compete'];
  }
  if (!doSample) {
    const drawing = firstGiven(['temperature', 'topP', 'minP', 'typicalP']);
    const extra = penaltyAlpha > 0 ? undefined : firstGiven(['topK']);
    const unused = drawing ?? extra;
    if (unused !== undefined) return [unused, 'nothing is drawn at random without doSample'];
  }
  const several = given.numCandidates === undefined ? 'numReturnSequences' : 'numCandidates';
  if (numBeams === 1) {
    const unused = firstGiven(['lengthPenalty', 'earlyStopping', 'diversityPenalty']);
    if (unused !== undefined) return [unused, 'is for beam search; set numBeams above 1'];
    if (!doSample && numReturnSequences > 1) {
      return [several, 'without doSample or numBeams there is one sequence only'];
    }
  } else if (numReturnSequences > numBeams) {
    return [several, `is more than the ${numBeams} of numBeams`];
  }
  if (numBeams % numBeamGroups !== 0) {
    return [
      'numBeamGroups',
      `the ${numBeams} of numBeams cannot be divided into ${numBeamGroups} groups`,
    ];
  }
  if (numBeamGroups > 1 && doSample) {
    return ['numBeamGroups', 'groups of beams draw nothing; leave out doSample'];
  }
  if (numBeamGroups > 1 && options.diversityPenalty === 0) {
    return ['diversityPenalty', 'must be above 0 with several numBeamGroups'];
  }
  if (numBeamGroups === 1 && options.diversityPenalty > 0) {
    return ['diversityPenalty', 'is for several numBeamGroups'];
  }
  return undefined;
}

/** Where a sequence of a prompt ends at the latest: its most tokens, the prompt included. */
export function longestSequence(
  { maxNewTokens, maxLength }: CompleteDecodingOptions,
  prompt: number,
  positions: number,
): number {
  return Math.min(maxLength ?? prompt + (maxNewTokens ?? DEFAULT_NEW_TOKENS), positions);
}

/** The longest reply unless said otherwise. */
export const DEFAULT_NEW_TOKENS = 60;
