import { Command, type CommandUnknownOpts, Option } from '@commander-js/extra-typings';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UserError, withFileErrors } from '../base/errors.js';
import { loadCheckpoint } from '../checkpoint/index.js';
import { buildDataset, Dataset, SPLITS } from '../dataset/index.js';
import type { Tokenizer } from '../tokenizer/index.js';
import { LossModel, measurePerplexity, unigramPerplexity } from '../training/index.js';
import { truth, wholeNumber } from './arguments.js';
import { findModel, MODEL_HELP } from './find-model.js';

/** `dialogpt eval perplexity`: a model and conversations → how well it predicts them. */
export function evalPerplexityCommand(): CommandUnknownOpts {
  return new Command('perplexity')
    .description("a model's perplexity on a dataset or on conversations as TSV")
    .requiredOption('--model <name>', `the model: ${MODEL_HELP}`)
    .requiredOption('--data <path>', 'a dataset (`dialogpt data build`) or a TSV of conversations')
    .addOption(
      new Option('--split <name>', 'the part of a dataset')
        .choices(SPLITS)
        .default('validation' as const),
    )
    .option('--batch-size <examples>', 'examples in a batch', wholeNumber(1), 16)
    .option('--no-token-id <truth>', 'leave out token-type ids (the numbers of turns)', truth, true)
    .option('--json', 'print the figures as JSON')
    .addHelpText(
      'after',
      '\nExample:\n  dialogpt eval perplexity --model my-model --data held-out.tsv',
    )
    .action(async ({ model, data, split, batchSize, tokenId, json }) => {
      const { parameters, tokenizer } = await loadCheckpoint(await findModel(model));
      const isFolder = (await withFileErrors(data, () => stat(data))).isDirectory();
      await using built = isFolder
        ? undefined
        : await datasetOf(data, tokenizer, parameters.config.n_positions);
      const held = await (built === undefined
        ? Dataset.open(data, split)
        : Dataset.open(built.path, 'train'));
      if (held.length === 0) {
        throw new UserError(
          `${data}: its ${split} part is empty; give another --split, or build it with --validation.`,
        );
      }
      // The flag is the original's `no_token_id`; the parser takes its `no` for a prefix.
      const tokenTypes = !tokenId;
      await using lossModel = await LossModel.forEvaluation(parameters, { tokenTypes });
      const perplexity = await measurePerplexity(lossModel, held, { batchSize, tokenTypes });
      const figures = {
        ...perplexity,
        examples: held.length,
        ...(isFolder && split === 'validation'
          ? { unigram: unigramPerplexity(await Dataset.open(data, 'train'), held, tokenizer.size) }
          : {}),
      };
      if (json === true) {
        console.log(JSON.stringify(figures));
        return;
      }
      console.log(`perplexity per token     ${perplexity.perplexity.toFixed(3)}`);
      console.log(`perplexity per sequence  ${perplexity.sequencePerplexity.toFixed(3)}`);
      console.log(
        `loss                     ${perplexity.loss.toFixed(4)} over ${perplexity.labels} tokens of ${held.length} examples`,
      );
      const { original } = perplexity;
      console.log(
        `as the original prints   Val loss ${original.loss.toFixed(4)} Val ppl ${original.perplexity.toFixed(3)} (batches of ${batchSize})`,
      );
      if (figures.unigram !== undefined) {
        console.log(
          `unigram perplexity       ${figures.unigram.toFixed(3)} (knowing only how frequent tokens are)`,
        );
      }
    });
}

/** The conversations of a TSV as a dataset, which is removed when disposed of. */
async function datasetOf(
  corpus: string,
  tokenizer: Tokenizer,
  longest: number,
): Promise<AsyncDisposable & { readonly path: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'dialogpt-'));
  const remove = () => rm(folder, { recursive: true, force: true });
  const path = join(folder, 'dataset');
  try {
    await buildDataset(corpus, path, tokenizer, { maxSequenceLength: longest });
  } catch (error) {
    await remove();
    throw error;
  }
  return { path, [Symbol.asyncDispose]: remove };
}
