import { UserError } from '../base/errors.js';
import type { Checkpoint } from '../checkpoint/index.js';
import type { Dataset } from '../dataset/index.js';

/**
 * Sees to it that a dataset is of a model's vocabulary and that the model can read its examples.
 *
 * @throws UserError if not.
 */
export function checkFit({ parameters, tokenizer }: Checkpoint, dataset: Dataset): void {
  const { config } = parameters;
  const { endOfText } = dataset.description;
  if (endOfText !== tokenizer.endOfText) {
    throw new UserError(
      `The dataset was built with a vocabulary of ${endOfText + 1} tokens, but the model's has ${tokenizer.size}; build the dataset again with the model's tokenizer.`,
    );
  }
  for (let index = 0; index < dataset.length; index++) {
    const length = dataset.inputLength(index);
    if (length > config.n_positions) {
      throw new UserError(
        `Example ${index + 1} of the dataset has ${length} tokens, but the model reads ${config.n_positions} at most; build the dataset again with --max-seq-len ${config.n_positions}.`,
      );
    }
  }
}
