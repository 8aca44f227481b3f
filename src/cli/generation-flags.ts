import { Command, InvalidArgumentError, Option } from '@commander-js/extra-typings';
import { UserError } from '../base/errors.js';
import { readText } from '../base/files.js';
import { DECODING_TYPES, type DecodingType, hasValueHead } from '../checkpoint/index.js';
import {
  checkOptions,
  type GenerationOptions,
  type LoadOptions,
  type NamedRanker,
  namedRankers,
  readModelDefaults,
  type RerankerName,
} from '../decoding/index.js';
import { type Device, DEVICES } from '../runtime/index.js';
import { defined, number, positiveNumber, UsageError, wholeNumber } from './arguments.js';
import { findModel } from './find-model.js';

const share = (value: number) => value > 0 && value <= 1;

/** What `--dtype` is, for every command that loads a model to decode with. */
export const DTYPE_HELP =
  'what weights are while it computes (int8 where they are stored so, else fp32); int8 is faster and a little less exact';

/** What the flags of {@link commandWithGenerationFlags} read. */
export type GenerationFlags = Readonly<{
  maxNewTokens?: number;
  minNewTokens?: number;
  maxLength?: number;
  minLength?: number;
  greedy?: true;
  doSample?: true;
  temperature?: number;
  topK?: number;
  topP?: number;
  minP?: number;
  typicalP?: number;
  repetitionPenalty?: number;
  // Commander takes `--no-repeat-…` for the negation of `--repeat-…`, which is true unless given.
  repeatNgramSize: number | boolean;
  repeatReplyNgramSize: number | boolean;
  repeatHistoryNgramSize: number | boolean;
  badWords?: string[];
  numBeams?: number;
  numBeamGroups?: number;
  diversityPenalty?: number;
  lengthPenalty?: number;
  earlyStopping?: boolean | 'never';
  penaltyAlpha?: number;
  numCandidates?: number;
  numReturnSequences?: number;
  rerank?: 'none' | RerankerName;
  reverseModel?: string;
  ranker?: string[];
  safety: boolean;
  blockList?: string;
  safetyClassifier?: string;
  safetyThreshold?: number;
  safetyLabels?: string[];
  persona?: string[];
  maxHistoryTurns?: number;
  seed?: number;
  device: Device;
  dtype?: DecodingType;
  threads?: number;
}>;

/** `true`, `false` or `never`, as `early_stopping` takes them. */
function stopping(text: string): boolean | 'never' {
  if (text === 'never') return text;
  if (text === 'true' || text === 'false') return text === 'true';
  throw new InvalidArgumentError('Give true, false or never.');
}

/**
 * A command that decodes, with the flags of decoding, named as in Hugging Face's `generate`, and
 * those of where to compute.
 * {@link toGenerationOptions} makes the library's options of what they read.
 */
export function commandWithGenerationFlags(name: string): Command<[], GenerationFlags> {
  return new Command(name)
    .option('--max-new-tokens <tokens>', 'the longest reply (60)', wholeNumber(1))
    .option('--min-new-tokens <tokens>', 'the shortest reply (1)', wholeNumber(0))
    .option('--max-length <tokens>', 'the longest history and reply together', wholeNumber(1))
    .option('--min-length <tokens>', 'the shortest history and reply together', wholeNumber(0))
    .option('--greedy', 'always take the likeliest token')
    .option('--do-sample', 'draw at random in beam search too')
    .option('--temperature <number>', 'below 1 is safer, above is bolder (0.7)', positiveNumber)
    .option(
      '--top-k <tokens>',
      'draw from this many likeliest tokens (40; 0 is all)',
      wholeNumber(0),
    )
    .option(
      '--top-p <share>',
      'draw from the likeliest tokens of this probability together (1)',
      number('a number above 0 and up to 1', share),
    )
    .option(
      '--min-p <share>',
      "draw from tokens of at least this share of the likeliest one's probability (0)",
      number('a number from 0 to 1', (value) => value >= 0 && value <= 1),
    )
    .option(
      '--typical-p <share>',
      'draw from the most typical tokens of this probability together (1)',
      number('a number above 0 and up to 1', share),
    )
    .option(
      '--repetition-penalty <number>',
      'above 1, tokens that were there become less likely (1)',
      positiveNumber,
    )
    .option(
      '--no-repeat-ngram-size <tokens>',
      'no run of this many tokens comes twice, the history included (0: allowed)',
      wholeNumber(0),
    )
    .option(
      '--no-repeat-reply-ngram-size <tokens>',
      'the same within a reply (3; 0: allowed)',
      wholeNumber(0),
    )
    .option(
      '--no-repeat-history-ngram-size <tokens>',
      "the same for the speaker's earlier replies (6; 0: allowed)",
      wholeNumber(0),
    )
    .option('--bad-words <words...>', 'words and phrases that are never generated')
    .option('--num-beams <beams>', 'continuations kept side by side (1)', wholeNumber(1))
    .option('--num-beam-groups <groups>', 'groups of beams that differ (1)', wholeNumber(1))
    .option(
      '--diversity-penalty <number>',
      'what a token costs that an earlier group chose',
      positiveNumber,
    )
    .option(
      '--length-penalty <number>',
      'above 0 favours long beams, below short ones (1)',
      number('a number', () => true),
    )
    .option('--early-stopping <when>', 'when beams end: true, false or never (false)', stopping)
    .option(
      '--penalty-alpha <share>',
      'contrastive search: the weight of being unlike what came before',
      number('a number above 0 and up to 1', share),
    )
    .option('--num-candidates <count>', 'replies to choose from (1)', wholeNumber(1))
    .option('--num-return-sequences <count>', 'the same, as Hugging Face calls it', wholeNumber(1))
    .addOption(
      new Option('--rerank <how>', 'what chooses among candidates').choices([
        'none',
        'mmi',
        'ranker',
        'value',
      ] as const),
    )
    .option('--reverse-model <name>', 'a model of reversed conversations, for --rerank mmi')
    .option(
      '--ranker <name=weight...>',
      'ranking models for --rerank ranker: updown, depth, width, human-vs-rand, human-vs-machine, a path, or an ensemble.yml',
    )
    .option('--no-safety', 'say every reply, blocked words or not')
    .option('--block-list <file>', 'the words and phrases to block, one a line')
    .option(
      '--safety-classifier <name>',
      'an ONNX text classifier that replies must pass too: a folder or a name on the hub',
    )
    .option(
      '--safety-threshold <share>',
      'the probability from which on it objects (0.5)',
      number('a number above 0 and up to 1', share),
    )
    .option('--safety-labels <labels...>', 'the labels it objects to (all but harmless ones)')
    .option('--persona <lines...>', 'what the speaker is like, one sentence each')
    .option(
      '--max-history-turns <turns>',
      'turns of the conversation to read (5; 0 is all that fit)',
      wholeNumber(0),
    )
    .option('--seed <number>', 'makes replies repeatable', wholeNumber(0))
    .addOption(
      new Option('--device <name>', 'where to compute').choices(DEVICES).default('cpu' as const),
    )
    .addOption(new Option('--dtype <type>', DTYPE_HELP).choices(DECODING_TYPES))
    .option('--threads <count>', 'threads to compute with', wholeNumber(1));
}

/** Flags as options of the library; options that contradict each other are named as flags. */
export async function toGenerationOptions(flags: GenerationFlags): Promise<GenerationOptions> {
  const { greedy, doSample, blockList, reverseModel, ranker } = flags;
  if (greedy === true && doSample === true) {
    throw new UsageError('--greedy and --do-sample contradict each other; leave out one.');
  }
  if (flags.numCandidates !== undefined && flags.numReturnSequences !== undefined) {
    throw new UsageError(
      '--num-candidates and --num-return-sequences are the same; leave out one.',
    );
  }
  const { temperature, topK, topP, seed, penaltyAlpha } = flags;
  const drawing = [temperature, penaltyAlpha === undefined ? topK : undefined, topP, seed];
  if (greedy === true && drawing.some((value) => value !== undefined)) {
    throw new UsageError(
      '--greedy draws nothing; leave out --temperature, --top-k, --top-p and --seed.',
    );
  }
  if (reverseModel !== undefined && flags.rerank !== 'mmi') {
    throw new UsageError('--reverse-model is for --rerank mmi.');
  }
  if (ranker !== undefined && flags.rerank !== 'ranker') {
    throw new UsageError('--ranker is for --rerank ranker.');
  }
  const { safetyClassifier, safetyThreshold, safetyLabels } = flags;
  if (safetyClassifier === undefined && (safetyThreshold ?? safetyLabels) !== undefined) {
    throw new UsageError(
      '--safety-threshold and --safety-labels are for a --safety-classifier; name one.',
    );
  }
  if (!flags.safety && blockList !== undefined) {
    throw new UsageError('--no-safety and --block-list contradict each other; leave out one.');
  }
  if (!flags.safety && safetyClassifier !== undefined) {
    throw new UsageError(
      '--no-safety and --safety-classifier contradict each other; leave out one.',
    );
  }
  const options: GenerationOptions = {
    ...defined({
      maxNewTokens: flags.maxNewTokens,
      minNewTokens: flags.minNewTokens,
      maxLength: flags.maxLength,
      minLength: flags.minLength,
      temperature: flags.temperature,
      topK: flags.topK,
      topP: flags.topP,
      minP: flags.minP,
      typicalP: flags.typicalP,
      repetitionPenalty: flags.repetitionPenalty,
      noRepeatNgramSize: size(flags.repeatNgramSize),
      noRepeatReplyNgramSize: size(flags.repeatReplyNgramSize),
      noRepeatHistoryNgramSize: size(flags.repeatHistoryNgramSize),
      badWords: flags.badWords,
      numBeams: flags.numBeams,
      numBeamGroups: flags.numBeamGroups,
      diversityPenalty: flags.diversityPenalty,
      lengthPenalty: flags.lengthPenalty,
      earlyStopping: flags.earlyStopping,
      penaltyAlpha: flags.penaltyAlpha,
      numCandidates: flags.numCandidates ?? flags.numReturnSequences,
      rerank: flags.rerank,
      safety: flags.safety,
      safetyThreshold: flags.safetyThreshold,
      persona: flags.persona,
      maxHistoryTurns: flags.maxHistoryTurns,
      seed: flags.seed,
      blockList: blockList === undefined ? undefined : await readBlockList(blockList),
    }),
    ...(greedy === true ? { doSample: false } : doSample === true ? { doSample } : {}),
  };
  checkFlags(options);
  return options;
}

/**
 * Checks options as `checkOptions` does.
 *
 * @param defaults those of the model, where it is known
 * @throws UsageError in the command line's names.
 */
export function checkFlags(options: GenerationOptions, defaults?: GenerationOptions): void {
  try {
    checkOptions(options, defaults);
  } catch (error) {
    throw error instanceof UserError ? new UsageError(inFlags(error.message)) : error;
  }
}

/**
 * The words and phrases of a block list.
 *
 * @throws UserError where it has none.
 */
export async function readBlockList(file: string): Promise<string[]> {
  const entries = (await readText(file)).split(/\r?\n/).filter((line) => line.trim() !== '');
  if (entries.length > 0) return entries;
  throw new UserError(
    `${file}: the list is empty; write one word or phrase a line, or leave it out.`,
  );
}

/** A size that was given. */
function size(value: number | boolean | undefined): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

/** A message of the library with the command line's names. */
function inFlags(message: string): string {
  return message
    .replace('Generation option ', '--')
    .replace(
      /\b[a-z]+(?:[A-Z][a-z]*)+\b/g,
      (name) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
    )
    .replace('----', '--');
}

/** Finds the rankers that a person named (see {@link namedRankers}). */
export async function findRankers(names: readonly string[]): Promise<NamedRanker[]> {
  const found: NamedRanker[] = [];
  for (const ranker of await namedRankers(names)) {
    found.push({ ...ranker, path: await findModel(ranker.path) });
  }
  return found;
}

/** How the speaker is loaded, with the models that help it. */
export async function speakerOptions(flags: GenerationFlags, path: string): Promise<LoadOptions> {
  const { device, dtype, threads } = flags;
  return { device, ...defined({ dtype, threads }), ...(await helpingModels(flags, path)) };
}

/**
 * The models besides the speaker that the flags name.
 *
 * @param path the speaker's
 */
export async function helpingModels(
  flags: GenerationFlags,
  path: string,
): Promise<Pick<LoadOptions, 'reverseModel' | 'rankers' | 'safetyClassifier'>> {
  const { safetyClassifier, safetyLabels: labels } = flags;
  return {
    ...(await rerankingModels(flags, path)),
    ...(safetyClassifier === undefined
      ? {}
      : { safetyClassifier: { path: safetyClassifier, ...defined({ labels }) } }),
  };
}

async function rerankingModels(
  { rerank, reverseModel, ranker }: GenerationFlags,
  path: string,
): Promise<Pick<LoadOptions, 'reverseModel' | 'rankers'>> {
  if (rerank === 'mmi') {
    if (reverseModel !== undefined) return { reverseModel: await findModel(reverseModel) };
    if ((await readModelDefaults(path)).reverseModel === undefined) {
      throw new UsageError('--rerank mmi needs a --reverse-model.');
    }
  }
  if (rerank === 'value' && !(await hasValueHead(path))) {
    throw new UsageError(
      `--rerank value needs a model with a value head, and ${path} has none; dialogpt train-value-head makes one.`,
    );
  }
  if (rerank === 'ranker') {
    if (ranker === undefined) throw new UsageError('--rerank ranker needs at least one --ranker.');
    return { rankers: await findRankers(ranker) };
  }
  return {};
}
