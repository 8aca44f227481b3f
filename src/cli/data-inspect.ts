import { Command, type CommandUnknownOpts, Option } from '@commander-js/extra-typings';
import { loadCheckpointTokenizer } from '../checkpoint/index.js';
import { cleanTurn, formatConversation } from '../corpus/conversation.js';
import {
  Dataset,
  type DatasetStatistics,
  datasetStatistics,
  labelCount,
  SPLITS,
} from '../dataset/index.js';
import type { Tokenizer } from '../tokenizer/index.js';
import { output } from './colors.js';
import { wholeNumber } from './arguments.js';
import { describeDataset } from './data-build.js';
import { histogram } from './histogram.js';

/** `dialogpt data inspect`: a dataset → its examples, to be read or as JSON lines. */
export function dataInspectCommand(): CommandUnknownOpts {
  return new Command('inspect')
    .description('show the examples and the statistics of a dataset')
    .argument('<dataset>', 'a folder that `dialogpt data build` wrote')
    .addOption(new Option('--split <name>', 'which part').choices(SPLITS).default('train' as const))
    .option('--start <example>', 'the first to show, counted from 0', wholeNumber(0), 0)
    .option(
      '--limit <examples>',
      'how many; with --json and --tsv all unless given',
      wholeNumber(0),
    )
    .option('--statistics', 'turns, lengths and labels as a table and histograms, no examples')
    .option(
      '--json',
      'stream the examples as JSON lines: input_ids, lm_labels, weights, token_type_ids',
    )
    .addOption(
      new Option('--tsv', 'print the conversations as a corpus has them, one a line').conflicts([
        'json',
        'statistics',
      ]),
    )
    .addHelpText(
      'after',
      `
Examples:
  dialogpt data inspect chats --limit 3
  dialogpt data inspect chats --statistics
  dialogpt data inspect chats --json | head -1
  dialogpt data inspect chats --split validation --tsv > held-out.tsv`,
    )
    .action(async (folder, { split, start, limit, statistics, json, tsv }) => {
      const dataset = await Dataset.open(folder, split);
      if (statistics === true) {
        const found = datasetStatistics(dataset);
        if (json === true) console.log(JSON.stringify({ dataset: folder, split, ...found }));
        else console.log(describeStatistics(`${folder}, ${split}`, found));
        return;
      }
      const shown = limit ?? (json === true || tsv === true ? dataset.length : 10);
      const end = Math.min(start + shown, dataset.length);
      if (json === true) {
        for (let index = start; index < end; index++) await printJson(dataset, index);
        return;
      }
      const tokenizer = await loadCheckpointTokenizer(folder);
      if (tsv === true) {
        for (let index = start; index < end; index++) {
          await print(conversationLine(dataset, index, tokenizer));
        }
        return;
      }
      console.log(describeDataset(folder, dataset.description));
      for (let index = start; index < end; index++) printExample(dataset, index, tokenizer);
    });
}

/** An example as a line of a corpus. */
function conversationLine(dataset: Dataset, index: number, tokenizer: Tokenizer): string {
  const weights = dataset.weights(index);
  return formatConversation(
    dataset.turns(index).map((ids, turn) => ({
      weight: weights[turn] === 0 ? 0 : 1,
      text: cleanTurn(tokenizer.decode(ids)),
    })),
  );
}

/** Prints an example's turns, each with its weight and number of tokens; learnt ones are green. */
function printExample(dataset: Dataset, index: number, tokenizer: Tokenizer): void {
  const example = dataset.example(index);
  const { length } = example.inputIds;
  const facts = `example ${index}, line ${dataset.conversation(index)}: ${length} tokens, ${labelCount(example)} to learn`;
  console.log(`\n${output.bold(facts)}`);
  const weights = dataset.weights(index);
  for (const [turn, ids] of dataset.turns(index).entries()) {
    const weight = weights[turn] ?? 0;
    const learnt = turn > 0 && weight !== 0;
    const text = tokenizer.decode(ids);
    const margin = `  ${turn + 1}. weight ${weight}, ${ids.length} tokens`;
    console.log(`${output.dim(margin.padEnd(27))} ${learnt ? output.green(text) : text}`);
  }
}

function describeStatistics(title: string, found: DatasetStatistics): string {
  const [shortest = 0, quarter = 0, middle = 0, threeQuarters = 0, longest = 0] = found.lengths;
  const share = (part: number, whole: number) =>
    whole === 0 ? '–' : `${((100 * part) / whole).toFixed(1)} %`;
  const mean = (part: number) => (found.examples === 0 ? '–' : (part / found.examples).toFixed(1));
  const rows: readonly (readonly [string, number | string, string])[] = [
    ['examples', found.examples, ''],
    ['turns', found.turns, `${mean(found.turns)} an example`],
    ['turns to learn', found.learntTurns, `${share(found.learntTurns, found.turns)} of the turns`],
    ['tokens', found.tokens, `${mean(found.tokens)} an example`],
    ['labels', found.labels, `${share(found.labels, found.tokens)} of the tokens`],
    ['lengths', `${shortest}-${longest}`, `quartiles ${quarter}, ${middle}, ${threeQuarters}`],
  ];
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => String(row[column]).length)));
  const table = rows.map(([name, value, more]) =>
    `  ${name.padEnd(widths[0] ?? 0)}  ${String(value).padStart(widths[1] ?? 0)}  ${more}`.trimEnd(),
  );
  return [
    output.bold(title),
    ...table,
    '',
    histogram('turns of an example', found.turnsPerExample),
    '',
    histogram('tokens of an example', found.tokensPerExample),
    '',
    histogram('tokens of a turn to learn', found.tokensPerLearntTurn),
  ].join('\n');
}

async function printJson(dataset: Dataset, index: number): Promise<void> {
  const { inputIds, labels, weights, tokenTypeIds } = dataset.example(index);
  const line = JSON.stringify({
    conv_id: index,
    input_ids: [...inputIds],
    lm_labels: [...labels],
    weights: [...weights],
    token_type_ids: [...tokenTypeIds],
  });
  await print(line);
}

/** Prints a line and waits while the reader of a pipe is behind. */
async function print(line: string): Promise<void> {
  if (!process.stdout.write(`${line}\n`)) {
    await new Promise((resolve) => process.stdout.once('drain', resolve));
  }
}
