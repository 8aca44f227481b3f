import { Command, type CommandUnknownOpts, Option } from '@commander-js/extra-typings';
import { UserError } from '../base/errors.js';
import { exists, readLines } from '../base/files.js';
import { loadCheckpointTokenizer } from '../checkpoint/index.js';
import {
  buildDataset,
  type DatasetDescription,
  LONG_MODES,
  SPLITS,
  trainTokenizer,
} from '../dataset/index.js';
import { gpt2Tokenizer, type Tokenizer } from '../tokenizer/index.js';
import { defined, number, UsageError, wholeNumber } from './arguments.js';
import { findModel } from './find-model.js';
import { showProgress } from './progress.js';

/** `dialogpt data build`: conversations as TSV → a dataset. */
export function dataBuildCommand(): CommandUnknownOpts {
  return new Command('build')
    .description('make a dataset of conversations (turn EOS turn <tab> response, one a line)')
    .requiredOption('--corpus <file>', 'the conversations, as TSV')
    .requiredOption('--out <folder>', 'the dataset to write')
    .option('--max-seq-len <tokens>', 'the longest example', wholeNumber(2), 128)
    .option('--reverse', 'learn the turns backwards, for the reverse model of MMI')
    .option('--two-turn', 'take only the first two turns')
    .addOption(
      new Option(
        '--long <mode>',
        'dialogues that are too long: cut at turns, leave out, or both as the original',
      ).choices(LONG_MODES),
    )
    .option('--join', 'let short dialogues follow one another in one example until it is full')
    .option('--compat', 'read weights and broken lines as the original does; --long compat')
    .option(
      '--validation <share>',
      'the share of conversations to hold out',
      number('a number from 0 to below 1', (value) => value >= 0 && value < 1),
      0,
    )
    .option('--shard-size <examples>', 'examples in a file', wholeNumber(1), 65_536)
    .option('--tokenizer <model>', "a model whose tokenizer to use, else GPT-2's")
    .option(
      '--vocab-size <tokens>',
      'learn a vocabulary of this size from the corpus',
      wholeNumber(257),
    )
    .option('--json', 'print what was built as JSON')
    .addHelpText(
      'after',
      '\nExample:\n  dialogpt data build --corpus chats.tsv --out chats --validation 0.05',
    )
    .action(async (flags) => {
      const { corpus, out, tokenizer: model, vocabSize, json, maxSeqLen, ...options } = flags;
      if (await exists(out)) {
        throw new UserError(`${out}: it exists already; choose another --out or remove it.`);
      }
      const tokenizer = await chooseTokenizer(corpus, model, vocabSize);
      const progress = showProgress('building', await countLines(corpus), 'conversations');
      try {
        const description = await buildDataset(corpus, out, tokenizer, {
          ...defined(options),
          maxSequenceLength: maxSeqLen,
          onProgress: (conversations) => {
            progress.update(conversations);
          },
        });
        progress.stop();
        console.log(
          json === true ? JSON.stringify(description) : describeDataset(out, description),
        );
      } finally {
        progress.stop();
      }
    });
}

async function chooseTokenizer(
  corpus: string,
  model: string | undefined,
  vocabSize: number | undefined,
): Promise<Tokenizer> {
  if (vocabSize === undefined) {
    return model === undefined ? gpt2Tokenizer() : loadCheckpointTokenizer(await findModel(model));
  }
  if (model !== undefined) {
    throw new UsageError(
      '--tokenizer takes a vocabulary and --vocab-size learns one; give one of them.',
    );
  }
  return trainTokenizer(corpus, vocabSize);
}

/** The number of lines of a file, for progress. */
export async function countLines(path: string): Promise<number> {
  let count = 0;
  for await (const line of readLines(path)) count = line.number;
  return count;
}

/** A dataset's counts as lines for people. */
export function describeDataset(folder: string, description: DatasetDescription): string {
  const { counts, splits, maxSequenceLength } = description;
  const lines = [`${folder}: of ${counts.conversations} conversations`];
  for (const name of SPLITS) {
    const { examples, tokens, labels } = splits[name];
    const share = tokens === 0 ? 0 : Math.round((100 * labels) / tokens);
    lines.push(`  ${name}: ${examples} examples, ${tokens} tokens, ${share} % of them to learn`);
  }
  const left: readonly (readonly [number, string])[] = [
    [counts.brokenLines, 'lines left out: they could not be read'],
    [counts.withoutResponse, 'conversations left out: no response to learn'],
    [counts.dropped, `examples left out: longer than ${maxSequenceLength} tokens`],
    [counts.longTurns, `turns left out: alone longer than ${maxSequenceLength} tokens`],
  ];
  for (const [count, what] of left) if (count > 0) lines.push(`  ${count} ${what}`);
  return lines.join('\n');
}
