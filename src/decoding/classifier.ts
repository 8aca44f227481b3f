import { stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { messageOf, UserError } from '../base/errors.js';
import { exists } from '../base/files.js';
import { hubSettings } from '../checkpoint/index.js';
import type { SafetyClassifier } from './safety.js';

/** Labels of common classifiers for what is harmless. */
const HARMLESS =
  /^(?:(?:non|not|no)[-_ ]?\w+|safe|neutral|normal|ok|okay|clean|benign|acceptable|harmless|label_0)$/i;

const scoresSchema = z.array(z.object({ label: z.string(), score: z.number() }));

/** What is wanted of a {@link OnnxClassifier}. */
export interface ClassifierOptions {
  /** A folder with `config.json`, `tokenizer.json` and `onnx/model.onnx`, or a name on the hub. */
  readonly path: string;
  /** The labels that stand for what must not be said; all but harmless ones unless given. */
  readonly labels?: readonly string[];
}

/**
 * A text-classification model of Hugging Face as ONNX, run by transformers.js. That package is not
 * installed with `dialogpt`; it is loaded when a classifier is.
 */
export class OnnxClassifier implements SafetyClassifier {
  readonly #classify: (text: string) => Promise<unknown>;
  readonly #labels: readonly string[] | undefined;

  private constructor(
    classify: (text: string) => Promise<unknown>,
    labels: readonly string[] | undefined,
  ) {
    this.#classify = classify;
    this.#labels = labels;
  }

  /** @throws UserError if transformers.js is not installed, or there is no such classifier. */
  static async load({ path, labels }: ClassifierOptions): Promise<OnnxClassifier> {
    const { env, pipeline } = await importTransformers();
    const local = await exists(path);
    const { endpoint, cache, offline } = await hubSettings();
    env.allowLocalModels = local;
    env.allowRemoteModels = !local && !offline;
    env.localModelPath = `${dirname(resolve(path))}/`;
    env.remoteHost = endpoint;
    env.cacheDir = join(cache, 'transformers.js');
    if (local && !(await stat(path)).isDirectory()) {
      throw new UserError(`${path}: a classifier is a folder; give the one that config.json is in.`);
    }
    try {
      const name = local ? basename(resolve(path)) : path;
      const classify = await pipeline('text-classification', name, { dtype: 'fp32' });
      // All labels are wanted, not the likeliest alone.
      return new OnnxClassifier((text) => classify(text, { top_k: ALL_LABELS }), labels);
    } catch (error) {
      throw new UserError(
        `${path}: this is no text classifier that transformers.js can open (${messageOf(error)}); it needs config.json, tokenizer.json and onnx/model.onnx.`,
        { cause: error },
      );
    }
  }

  async classify(text: string): Promise<{ readonly label: string; readonly score: number }[]> {
    const scores = scoresSchema.parse(await this.#classify(text));
    const labels = this.#labels;
    const known = scores.map(({ label }) => label);
    const missing = labels?.find((label) => !known.includes(label));
    if (missing !== undefined) {
      throw new UserError(
        `The safety classifier has no label ${missing}; its labels are ${known.join(', ')}.`,
      );
    }
    return scores.filter(({ label }) => labels?.includes(label) ?? !HARMLESS.test(label));
  }
}

/** More than any classifier has. */
const ALL_LABELS = 1000;

async function importTransformers(): Promise<typeof import('@huggingface/transformers')> {
  try {
    return await import('@huggingface/transformers');
  } catch (error) {
    throw new UserError(
      `A safety classifier needs the package @huggingface/transformers, which cannot be loaded (${messageOf(error)}); install it with: npm install @huggingface/transformers`,
      { cause: error },
    );
  }
}
