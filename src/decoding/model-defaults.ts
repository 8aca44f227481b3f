import { z } from 'zod';
import { describeIssue, UserError } from '../base/errors.js';
import { defined } from '../base/objects.js';
import { type GenerationOptions, generationOptions } from './options.js';

const number = z.number().nullish();

/** What Hugging Face's `GenerationConfig` says of how tokens are chosen, and what is ours in it. */
const fileSchema = z.object({
  max_new_tokens: number,
  min_new_tokens: number,
  max_length: number,
  min_length: number,
  do_sample: z.boolean().nullish(),
  temperature: number,
  top_k: number,
  top_p: number,
  min_p: number,
  typical_p: number,
  repetition_penalty: number,
  no_repeat_ngram_size: number,
  num_beams: number,
  num_beam_groups: number,
  diversity_penalty: number,
  length_penalty: number,
  early_stopping: z.union([z.boolean(), z.literal('never')]).nullish(),
  penalty_alpha: number,
  max_history_turns: number,
  num_candidates: number,
  rerank: z.enum(['none', 'mmi', 'value']).nullish(),
  reverse_model: z.string().nullish(),
});

/** How a model's own files say that it replies best. */
export interface ModelDefaults {
  readonly options: GenerationOptions;
  /** The model of reversed conversations that ranks its candidates, as it is named there. */
  readonly reverseModel?: string;
}

/**
 * How a model replies where nothing else is asked for, as a `generation_config.json` says: Hugging
 * Face's names, and `num_candidates`, `rerank`, `reverse_model` and `max_history_turns` besides. What
 * else is in the file is left alone.
 *
 * @param content what is in the file
 * @param file how errors name it
 * @throws UserError where an option in it cannot be.
 */
export function parseModelDefaults(content: unknown, file: string): ModelDefaults {
  const parsed = fileSchema.safeParse(content);
  if (!parsed.success) throw new UserError(`${file}: ${describeIssue(parsed.error)}; mend it.`);
  const said = parsed.data;
  const given = <T>(value: T | null | undefined): T | undefined => value ?? undefined;
  const options: GenerationOptions = defined({
    maxNewTokens: given(said.max_new_tokens),
    minNewTokens: given(said.min_new_tokens),
    // As for Hugging Face, what counts new tokens goes before what counts the prompt, too.
    maxLength: given(said.max_new_tokens) === undefined ? given(said.max_length) : undefined,
    minLength: given(said.min_new_tokens) === undefined ? given(said.min_length) : undefined,
    doSample: given(said.do_sample),
    temperature: given(said.temperature),
    topK: given(said.top_k),
    topP: given(said.top_p),
    minP: given(said.min_p),
    typicalP: given(said.typical_p),
    repetitionPenalty: given(said.repetition_penalty),
    noRepeatNgramSize: given(said.no_repeat_ngram_size),
    numBeams: given(said.num_beams),
    numBeamGroups: given(said.num_beam_groups),
    diversityPenalty: given(said.diversity_penalty),
    lengthPenalty: given(said.length_penalty),
    earlyStopping: given(said.early_stopping),
    penaltyAlpha: given(said.penalty_alpha),
    maxHistoryTurns: given(said.max_history_turns),
    numCandidates: given(said.num_candidates),
    rerank: given(said.rerank),
  });
  try {
    generationOptions(options);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(`${file}: ${error.message}`, { cause: error });
  }
  return { options, ...defined({ reverseModel: given(said.reverse_model) }) };
}

type Name = keyof GenerationOptions;

const DRAWING: readonly Name[] = ['doSample', 'temperature', 'topK', 'topP', 'minP', 'typicalP'];
const SEARCHING: readonly Name[] = [
  'numBeams',
  'numBeamGroups',
  'diversityPenalty',
  'lengthPenalty',
  'earlyStopping',
  'penaltyAlpha',
];
const CHOOSING: readonly Name[] = ['numCandidates', 'rerank'];

/**
 * Options with a model's or a program's own where nothing is said. What is said goes before: where
 * it asks for another kind of search, defaults that only fit theirs are left out.
 */
export function withDefaults(
  defaults: GenerationOptions,
  options: GenerationOptions,
): GenerationOptions {
  const all: GenerationOptions = { ...defaults };
  const leave = (...names: readonly Name[]) => {
    for (const name of names) all[name] = undefined;
  };
  const { doSample, numBeams = 1, penaltyAlpha = 0, numCandidates = 1 } = options;
  const says = (...names: readonly Name[]) => names.some((name) => options[name] !== undefined);
  if (doSample === false || numBeams > 1 || penaltyAlpha > 0) {
    leave(...DRAWING, ...SEARCHING, ...CHOOSING);
  } else if (says('numBeams') || numCandidates > 1) leave(...SEARCHING);
  // Beams whose tokens are drawn are drawn otherwise; fixed ones cannot be.
  else if (says(...DRAWING) && defaults.doSample !== true) leave(...SEARCHING);
  if (says('numReturnSequences') || options.numCandidates === 1) leave(...CHOOSING);
  if (options.rerank === 'none') leave('numCandidates');
  if (says('maxNewTokens')) leave('maxLength', 'minNewTokens');
  if (says('maxLength')) leave('maxNewTokens', 'minLength');
  if (says('minNewTokens')) leave('minLength');
  if (says('minLength')) leave('minNewTokens');
  const merged = { ...defined(all), ...defined(options) };
  // What is said is checked where it is used; defaults that contradict it are not asked for.
  return canBe(merged) ? merged : options;
}

function canBe(options: GenerationOptions): boolean {
  try {
    generationOptions(options);
    return true;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return false;
  }
}

/** The ways in which a model may reply by itself: options that fit one of them may have been meant so. */
const WAYS: readonly GenerationOptions[] = [
  { doSample: true, numBeams: 24 },
  { doSample: false, numBeams: 24 },
  { numCandidates: 24 },
].map((way) => ({ ...way, maxNewTokens: 1_000_000 }));

/** Whether options can be, as they will meet a model's own. */
export function optionsFit(options: GenerationOptions, defaults: GenerationOptions): boolean {
  return canBe(withDefaults(defaults, options));
}

/**
 * Checks options as they will meet a model's own: a length penalty alone is for one that replies with beams.
 *
 * @param defaults how the model replies where nothing is said; where it is not known yet, options are
 *   refused that fit none of the usual ways
 * @throws UserError as {@link generationOptions}.
 */
export function checkOptions(options: GenerationOptions, defaults?: GenerationOptions): void {
  const ways = defaults === undefined ? WAYS : [defaults];
  if (!ways.some((way) => optionsFit(options, way))) generationOptions(options);
}

const anyOptions = z.custom<GenerationOptions>((value) => typeof value === 'object');

/**
 * Options with one of them changed, or taken back where `value` is undefined.
 *
 * @param defaults how the model replies where nothing is said
 * @throws UserError as {@link generationOptions}.
 */
export function withOption(
  options: GenerationOptions,
  name: string,
  value: unknown,
  defaults: GenerationOptions,
): GenerationOptions {
  const changed = anyOptions.parse({ ...options, [name]: value });
  checkOptions(changed, defaults);
  return changed;
}
