import { Command, type CommandUnknownOpts, Option } from '@commander-js/extra-typings';
import { loadCheckpointTokenizer } from '../checkpoint/index.js';
import { Dataset, labelCount, SPLITS } from '../dataset/index.js';
import { output } from './colors.js';
import { wholeNumber } from './arguments.js';
import { describeDataset } from './data-build.js';

/** `dialogpt data inspect`: a dataset → its examples, to be read or as JSON lines. */
export function dataInspectCommand(): CommandUnknownOpts {
  return new Command('inspect')
    .description('show the examples of a dataset')
    .argument('<dataset>', 'a folder that `dialogpt data build` wrote')
    .addOption(new Option('--split <name>', 'which part').choices(SPLITS).default('train' as const))
    .option('--limit <examples>', 'how many; with --json all unless given', wholeNumber(0))
    .option(
      '--json',
      'stream the examples as JSON lines: input_ids, lm_labels, weights, token_type_ids',
    )
    .addHelpText(
      'after',
      '\nExample:\n  dialogpt data inspect chats --limit 3\n  dialogpt data inspect chats --json | head -1',
    )
    .action(async (folder, { split, limit, json }) => {
      const dataset = await Dataset.open(folder, split);
      if (json === true) {
        const count = Math.min(limit ?? dataset.length, dataset.length);
        for (let index = 0; index < count; index++) await printJson(dataset, index);
        return;
      }
      const tokenizer = await loadCheckpointTokenizer(folder);
      console.log(describeDataset(folder, dataset.description));
      const count = Math.min(limit ?? 10, dataset.length);
      for (let index = 0; index < count; index++) {
        const example = dataset.example(index);
        const facts = `line ${dataset.conversation(index)}, ${example.inputIds.length} tokens, ${labelCount(example)} to learn`;
        console.log(`\n${output.dim(facts)}`);
        for (const [turn, { text, weight }] of turnsOf(dataset, index, (ids) =>
          tokenizer.decode(ids),
        ).entries()) {
          const learnt = turn > 0 && weight !== 0;
          console.log(learnt ? output.green(`  ${turn + 1}. ${text}`) : `  ${turn + 1}. ${text}`);
        }
      }
    });
}

function turnsOf(
  dataset: Dataset,
  index: number,
  decode: (ids: readonly number[]) => string,
): { readonly text: string; readonly weight: number }[] {
  const weights = dataset.weights(index);
  return dataset
    .turns(index)
    .map((ids, turn) => ({ text: decode(ids), weight: weights[turn] ?? 0 }));
}

/** Prints an example and waits while the reader of a pipe is behind. */
async function printJson(dataset: Dataset, index: number): Promise<void> {
  const { inputIds, labels, weights, tokenTypeIds } = dataset.example(index);
  const line = JSON.stringify({
    conv_id: index,
    input_ids: [...inputIds],
    lm_labels: [...labels],
    weights: [...weights],
    token_type_ids: [...tokenTypeIds],
  });
  if (!process.stdout.write(`${line}\n`)) {
    await new Promise((resolve) => process.stdout.once('drain', resolve));
  }
}
