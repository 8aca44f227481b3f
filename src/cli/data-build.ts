import {
  Command,
  type CommandUnknownOpts,
  InvalidArgumentError,
  Option,
} from '@commander-js/extra-typings';
import { UserError } from '../base/errors.js';
import { exists } from '../base/files.js';
import { loadCheckpointTokenizer } from '../checkpoint/index.js';
import {
  buildDataset,
  type BuildProgress,
  type DatasetDescription,
  DEDUPLICATIONS,
  LONG_MODES,
  SPLITS,
  trainTokenizer,
} from '../dataset/index.js';
import { gpt2Tokenizer, type Tokenizer } from '../tokenizer/index.js';
import { defined, UsageError, wholeNumber } from './arguments.js';
import { findModel } from './find-model.js';
import { InterruptedError, Interrupt } from './interrupt.js';
import { type Progress, showProgress } from './progress.js';

/** `dialogpt data build`: conversations as TSV → a dataset. */
export function dataBuildCommand(): CommandUnknownOpts {
  return new Command('build')
    .description('make a dataset of conversations (turn EOS turn <tab> response, one a line)')
    .requiredOption('--corpus <file>', 'the conversations, as TSV')
    .requiredOption('--out <folder>', 'the dataset to write')
    .option('--max-seq-len <tokens>', 'the longest example', wholeNumber(2), 128)
    .option('--reverse', 'learn the turns backwards, for the reverse model of MMI')
    .option('--two-turn', 'take only the first two turns')
    .option(
      '--max-turns <counts...>',
      'cut conversations after so many turns (0: not at all); with several counts, take each conversation once for each, to learn its turns after short and long histories',
      (text: string, before: number[] | undefined) => [...(before ?? []), turnCount(text)],
    )
    .addOption(
      new Option(
        '--long <mode>',
        'dialogues that are too long: cut at turns, leave out, or both as the original',
      ).choices(LONG_MODES),
    )
    .option('--join', 'let short dialogues follow one another in one example until it is full')
    .option('--compat', 'read weights and broken lines as the original does; --long compat')
    .option(
      '--validation <share|file>',
      'the share of conversations to hold out, or a corpus of its own to validate on',
      parseValidation,
      0,
    )
    .addOption(
      new Option(
        '--deduplicate [how]',
        'leave out conversations that stood before; near: but for case, punctuation and spaces',
      )
        .choices(DEDUPLICATIONS)
        .preset('exact' as const),
    )
    .option(
      '--shard-size <examples>',
      'lines of the corpus that make one file',
      wholeNumber(1),
      65_536,
    )
    .option('--tokenizer <model>', "a model whose tokenizer to use, else GPT-2's")
    .option(
      '--vocab-size <tokens>',
      'learn a vocabulary of this size from the corpus',
      wholeNumber(257),
    )
    .option('--threads <n>', 'worker threads; by default one a core', wholeNumber(1))
    .option('--json', 'print what was built as JSON')
    .addHelpText(
      'after',
      `
The corpus may be compressed (.zst, .xz, .bz2, .gz). Run the same command again after an
interruption, and it goes on. Details: docs/data.md.

Examples:
  dialogpt data build --corpus chats.tsv --out chats --validation 0.05
  dialogpt data build --corpus chats.tsv --out chats --max-turns 0 2
  dialogpt data build --corpus train.tsv.zst --out reddit --validation valid.tsv --deduplicate`,
    )
    .action(async (flags) => {
      const { corpus, out, tokenizer: model, vocabSize, json, maxSeqLen, ...others } = flags;
      const { validation, ...options } = others;
      if (await exists(out)) {
        throw new UserError(`${out}: it exists already; choose another --out or remove it.`);
      }
      const tokenizer = await chooseTokenizer(corpus, model, vocabSize);
      using interrupt = new Interrupt(() => undefined);
      using progress = showBuildProgress();
      try {
        const description = await buildDataset(corpus, out, tokenizer, {
          ...defined(options),
          ...(typeof validation === 'number' ? { validation } : { validationCorpus: validation }),
          maxSequenceLength: maxSeqLen,
          resume: true,
          signal: interrupt.signal,
          onProgress: progress.update,
        });
        progress.stop();
        console.log(
          json === true ? JSON.stringify(description) : describeDataset(out, description),
        );
      } catch (error) {
        if (!interrupt.signal.aborted) throw error;
        progress.stop();
        throw new InterruptedError('Interrupted; run the same command again, and it goes on.');
      }
    });
}

const turnsGiven = wholeNumber(0);

/** The most turns of an example: 0, or at least a turn and its answer. */
function turnCount(text: string): number {
  const count = turnsGiven(text);
  if (count === 1) throw new InvalidArgumentError('Give 0, or at least 2: a turn and its answer.');
  return count;
}

/** A share from 0 to below 1, or else a file. */
function parseValidation(text: string): number | string {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) return text;
  if (value >= 0 && value < 1) return value;
  throw new InvalidArgumentError('Give a share from 0 to below 1, or a file.');
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

/** Shows how far a build is, in megabytes of the corpus, and how fast it goes. */
function showBuildProgress(): Disposable & {
  readonly update: (progress: BuildProgress) => void;
  readonly stop: () => void;
} {
  const started = performance.now();
  let shown: Progress | undefined;
  const stop = () => {
    shown?.stop();
    shown = undefined;
  };
  return {
    update: ({ conversations, bytes, totalBytes }) => {
      shown ??= showProgress('building', megabytes(totalBytes), 'MB');
      const rate = Math.round(conversations / ((performance.now() - started) / 1000));
      shown.update(megabytes(bytes), `${conversations} conversations, ${rate}/s`);
    },
    stop,
    [Symbol.dispose]: stop,
  };
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e5) / 10;
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
    [counts.repeated, 'conversations left out: they stood before'],
    [counts.brokenLines, 'lines left out: they could not be read'],
    [counts.withoutResponse, 'conversations left out: no response to learn'],
    [counts.dropped, `examples left out: longer than ${maxSequenceLength} tokens`],
    [counts.longTurns, `turns left out: alone longer than ${maxSequenceLength} tokens`],
  ];
  for (const [count, what] of left) if (count > 0) lines.push(`  ${count} ${what}`);
  return lines.join('\n');
}
