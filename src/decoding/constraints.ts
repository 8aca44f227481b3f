import { at } from '../base/arrays.js';
import { UserError } from '../base/errors.js';
import type { CompleteDecodingOptions } from './options.js';

/**
 * Changes the scores of the next token in place.
 *
 * @param scores `[vocab_size]`: logits, or log-probabilities in beam search
 * @param ids the sequence so far, the prompt included
 */
export type Constraint = (scores: Float32Array, ids: readonly number[]) => void;

/**
 * The constraints that options ask for, in the order of Hugging Face's
 * `GenerationMixin._get_logits_processor`; OpenAI's come after the repetition penalty.
 */
export function constraintsOf(
  options: CompleteDecodingOptions,
  prompt: number,
  endOfText: number,
): readonly Constraint[] {
  const constraints: Constraint[] = [];
  const { repetitionPenalty, noRepeatNgramSize, minLength, minNewTokens } = options;
  if (repetitionPenalty !== 1) constraints.push(penalizeRepetition(repetitionPenalty));
  const { presencePenalty, frequencyPenalty, logitBias } = options;
  if (presencePenalty !== 0 || frequencyPenalty !== 0) {
    constraints.push(penalizeGenerated(presencePenalty, frequencyPenalty, prompt));
  }
  if (logitBias.length > 0) constraints.push(addBias(logitBias));
  if (noRepeatNgramSize > 0) constraints.push(forbidRepeatedNgrams(noRepeatNgramSize));
  const badWords = options.badWordsIds.filter((ids) => ids.length > 1 || ids[0] !== endOfText);
  if (badWords.length > 0) constraints.push(forbidRuns(badWords));
  const least = Math.max(minLength, minNewTokens === 0 ? 0 : prompt + minNewTokens);
  if (least > 0) constraints.push(forbidEndBefore(least, endOfText));
  return constraints;
}

/** Applies constraints one after the other to a copy of the scores. */
export function constrained(
  scores: Float32Array,
  ids: readonly number[],
  constraints: readonly Constraint[],
): Float32Array {
  const changed = scores.slice();
  for (const constraint of constraints) constraint(changed, ids);
  return changed;
}

/** `repetition_penalty`: divides positive scores of tokens that were there, multiplies negative. */
function penalizeRepetition(penalty: number): Constraint {
  return (scores, ids) => {
    for (const token of new Set(ids)) {
      const score = at(scores, token);
      scores[token] = score < 0 ? score * penalty : score / penalty;
    }
  };
}

/**
 * OpenAI's `presence_penalty` and `frequency_penalty`: a token that comes `n` times after the prompt
 * loses `presence + n · frequency`.
 */
function penalizeGenerated(presence: number, frequency: number, prompt: number): Constraint {
  return (scores, ids) => {
    const counts = new Map<number, number>();
    for (const token of ids.slice(prompt)) counts.set(token, (counts.get(token) ?? 0) + 1);
    for (const [token, count] of counts) {
      scores[token] = at(scores, token) - presence - count * frequency;
    }
  };
}

/** OpenAI's `logit_bias`. */
function addBias(bias: readonly (readonly [number, number])[]): Constraint {
  return (scores) => {
    for (const [token, value] of bias) {
      checkToken('logitBias', token, scores);
      scores[token] = at(scores, token) + value;
    }
  };
}

/** @throws UserError if the model has no such token. */
function checkToken(option: string, token: number, scores: Float32Array): void {
  if (token < scores.length) return;
  throw new UserError(
    `Generation option ${option}: there is no token ${token}; the last is ${scores.length - 1}.`,
  );
}

/**
 * `no_repeat_ngram_size`: forbids what would complete a run of `size` tokens for the second time.
 *
 * @param start where the sequence to look at begins
 */
export function forbidRepeatedNgrams(size: number, start = 0): Constraint {
  return (scores, ids) => {
    const prefix = ids.length - size + 1;
    if (prefix < start) return;
    for (let place = start; place + size <= ids.length; place++) {
      let same = true;
      for (let offset = 0; same && offset < size - 1; offset++) {
        same = ids[place + offset] === ids[prefix + offset];
      }
      if (same) scores[at(ids, place + size - 1)] = -Infinity;
    }
  };
}

/** Forbids what would complete one of these runs of tokens. */
export function forbidRuns(runs: readonly (readonly number[])[]): Constraint {
  return (scores, ids) => {
    for (const run of runs) {
      for (const token of run) checkToken('badWordsIds', token, scores);
      if (run.length > 1 && run.length > ids.length) continue;
      const prefix = ids.length - run.length + 1;
      if (run.slice(0, -1).every((token, offset) => ids[prefix + offset] === token)) {
        scores[at(run, run.length - 1)] = -Infinity;
      }
    }
  };
}

/** `min_length` and `min_new_tokens`: forbids the end of text before a length is reached. */
function forbidEndBefore(length: number, endOfText: number): Constraint {
  return (scores, ids) => {
    if (ids.length < length) scores[endOfText] = -Infinity;
  };
}
