import { Command, type CommandUnknownOpts, Option } from '@commander-js/extra-typings';
import { stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { UserError, withFileErrors } from '../base/errors.js';
import { writeFileWhole } from '../base/files.js';
import {
  DSTC_REFERENCES,
  evaluateFiles,
  formatReport,
  METEOR_DATA_ADVICE,
  PUBLISHED,
  REPORT_FORMATS,
} from '../evaluation/index.js';
import { DEVICES } from '../runtime/index.js';
import { defined, UsageError, wholeNumber } from './arguments.js';
import { evaluateNamedModel, PRESET_NAMES, presetNames } from './eval-model.js';
import { MODEL_HELP } from './find-model.js';
import { endingAtOnce } from './interrupt.js';

const formats = ['table', 'json', 'tsv', 'markdown', 'latex', 'html'] as const;
const publishedNames = ['dstc7', '6k'] as const satisfies (keyof typeof PUBLISHED)[];

/** `dialogpt eval RESPONSES --refs …`: scores files of responses against references. */
export function evalScoreCommand(): CommandUnknownOpts {
  return new Command('score')
    .description('score files of responses against references (what eval does by itself)')
    .argument('[responses...]', 'files with a response a line, or folders of such .txt files')
    .requiredOption(
      '--refs <files...>',
      'files of references with a line for each response; with keys, one file of keys and references',
    )
    .option(
      '--multi-refs',
      'the file of references is a multi-reference set: a context and its references a line',
    )
    .option('--model <name>', `let this model respond instead of reading files: ${MODEL_HELP}`)
    .option(
      '--presets <names>',
      `with --model: how, as the paper's rows: ${PRESET_NAMES.join(', ')}, several with commas (greedy)`,
      presetNames,
    )
    .option('--reverse-model <name>', 'a model of reversed conversations, for the preset mmi')
    .option(
      '--contexts <file>',
      'with --model: the conversations, one a line (default: in the file of references)',
    )
    .option('--out <file>', 'with --model: where its responses go; a run that was killed goes on')
    .option('--overwrite', 'with --out: generate anew what is there')
    .addOption(
      new Option('--batch-size <rows>', 'with --model: rows generated side by side (16)').argParser(
        wholeNumber(1),
      ),
    )
    .addOption(
      new Option('--max-new-tokens <tokens>', 'with --model: the longest response (60)').argParser(
        wholeNumber(1),
      ),
    )
    .addOption(
      new Option('--seed <number>', 'with --model: what mmi draws from (1)').argParser(
        wholeNumber(0),
      ),
    )
    .addOption(new Option('--device <name>', 'with --model: where to compute').choices(DEVICES))
    .addOption(
      new Option('--threads <count>', 'with --model: threads to compute with').argParser(
        wholeNumber(1),
      ),
    )
    .option('--clean', "clean responses and references as DSTC-7's clean_str does")
    .option('--meteor-data <folder>', "METEOR 1.5's English data")
    .option('--keys <file>', 'evaluate the responses to these keys, as DSTC-7')
    .option('--line-keys <file>', 'the key of each line of the responses (default: --keys)')
    .addOption(
      new Option(
        '--n-refs <number>',
        `references for each response, taken in turn (default: all; with keys ${DSTC_REFERENCES})`,
      ).argParser(wholeNumber(1)),
    )
    .addOption(
      new Option(
        '--vshuman <place>',
        'the reference, from 0, that is evaluated itself and must not count; -1 for none (default: none; with keys 1)',
      ).argParser(wholeNumber(-1)),
    )
    .addOption(
      new Option('--n-lines <number>', 'only the first so many instances').argParser(
        wholeNumber(1),
      ),
    )
    .option('--drop-log-lines', 'leave out empty lines and lines that begin with Val')
    .addOption(
      new Option('--published <table>', 'show published systems beside').choices(publishedNames),
    )
    .option('--significance', 'compare each system with the first by paired bootstrap')
    .addOption(
      new Option('--format <format>', 'what to print').choices(formats).default('table' as const),
    )
    .option('--json', 'the same as --format json')
    .option('--report <files...>', `write reports too: ${Object.values(REPORT_FORMATS).join(', ')}`)
    .addHelpText(
      'after',
      '\nExamples:\n  dialogpt eval score ours.txt theirs.txt --refs references.txt\n  dialogpt eval score --model small --presets greedy,beam --refs test.refs.txt --out small.txt',
    )
    .action(async (paths, options) => {
      const reports = (options.report ?? []).map((path) => ({ path, format: formatOf(path) }));
      const isKeyed = options.keys !== undefined || options.lineKeys !== undefined;
      const { model, ...flags } = options;
      checkTogether(paths, options, isKeyed);
      const settings = {
        references: options.refs,
        ...defined({
          keys: options.keys,
          lineKeys: options.lineKeys,
          referenceCount: options.nRefs,
          vsHuman: options.vshuman,
          lines: options.nLines,
          meteorData: options.meteorData,
          // A model's scores are there to be compared with the paper's.
          published: options.published ?? (model === undefined ? undefined : '6k'),
        }),
        multiReferences: options.multiRefs === true,
        clean: options.clean === true,
        dropLogLines: options.dropLogLines === true,
        significance: options.significance === true,
      };
      const report =
        model === undefined
          ? await endingAtOnce(() => evaluateFiles(paths, settings))
          : await evaluateNamedModel({ model, ...flags }, settings);
      if (options.meteorData === undefined) {
        process.stderr.write(
          `METEOR matches exact words and stems only; for synonyms and paraphrases, ${METEOR_DATA_ADVICE}, and give the folder as --meteor-data.\n`,
        );
      }
      if (isKeyed) {
        const name = `report_ref${options.nRefs ?? DSTC_REFERENCES}${options.clean === true ? '_cleaned' : ''}.tsv`;
        for (const path of paths) {
          if (await isFolder(path)) reports.push({ path: join(path, name), format: 'tsv' });
        }
      }
      for (const { path, format } of reports) {
        // A page of bars says little without something to compare with.
        const published = options.published ?? (isKeyed ? 'dstc7' : '6k');
        const shown = format === 'html' ? { ...report, published } : report;
        await writeFileWhole(path, formatReport(shown, format));
        process.stderr.write(`report saved to: ${path}\n`);
      }
      process.stdout.write(formatReport(report, options.json === true ? 'json' : options.format));
    });
}

/** Flags that mean something only with a model, as they are written. */
const MODEL_FLAGS = [
  ['presets', '--presets'],
  ['reverseModel', '--reverse-model'],
  ['contexts', '--contexts'],
  ['out', '--out'],
  ['overwrite', '--overwrite'],
  ['batchSize', '--batch-size'],
  ['maxNewTokens', '--max-new-tokens'],
  ['seed', '--seed'],
  ['device', '--device'],
  ['threads', '--threads'],
] as const;

/** @throws UsageError where there is nothing to score, or flags do not go together. */
function checkTogether(
  paths: readonly string[],
  options: Readonly<
    Partial<Record<(typeof MODEL_FLAGS)[number][0] | 'model' | 'multiRefs', unknown>>
  >,
  isKeyed: boolean,
): void {
  if (options.model === undefined) {
    if (paths.length === 0) {
      throw new UsageError('There is nothing to score; name files of responses, or a --model.');
    }
    const [, flag] = MODEL_FLAGS.find(([name]) => options[name] !== undefined) ?? [];
    if (flag !== undefined) throw new UsageError(`${flag} is for --model.`);
  } else {
    if (paths.length > 0) {
      throw new UsageError('Name files of responses or a --model, not both.');
    }
    if (isKeyed) throw new UsageError('--keys and --line-keys are for files of responses.');
  }
  if (isKeyed && options.multiRefs === true) {
    throw new UsageError('--multi-refs and --keys are two forms of references; leave out one.');
  }
  if (options.contexts !== undefined && options.multiRefs === true) {
    throw new UsageError('--multi-refs has the contexts itself; leave out --contexts.');
  }
}

/** The format that a file's name asks for. */
function formatOf(path: string): keyof typeof REPORT_FORMATS {
  const format = formats.find((name) => REPORT_FORMATS[name] === extname(path));
  if (format === undefined) {
    throw new UserError(
      `${path}: the name does not say which format; end it in ${Object.values(REPORT_FORMATS).join(', ')}.`,
    );
  }
  return format;
}

async function isFolder(path: string): Promise<boolean> {
  return withFileErrors(path, async () => (await stat(path)).isDirectory());
}
