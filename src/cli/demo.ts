import { Command, type CommandUnknownOpts } from '@commander-js/extra-typings';
import { rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { withFileErrors } from '../base/errors.js';
import { type Checkpoint, freshCheckpoint } from '../checkpoint/index.js';
import { buildDataset, Dataset, trainTokenizer } from '../dataset/index.js';
import { type DialogModel, loadModel } from '../decoding/index.js';
import { parameterCount } from '../model/index.js';
import {
  train,
  type TrainOptions,
  unigramPerplexity,
  type ValidationReport,
} from '../training/index.js';
import { output } from './colors.js';
import { wholeNumber } from './arguments.js';
import { describeDataset } from './data-build.js';
import { Interrupt, InterruptedError } from './interrupt.js';
import { heading } from './progress.js';
import { formatPerplexity, TrainingDisplay } from './training-display.js';

/** The project's own corpus, seen from the compiled program. */
const STARTER_CORPUS = join(import.meta.dirname, '../../../corpus/starter.tsv');

/**
 * A model that learns a small corpus in about two minutes on two cores. At this width the weights
 * start wider than GPT-2's 0.02, and the optimizer forgets old gradients sooner than over millions
 * of steps: either makes the same loss come after half as many steps (docs/notes/demo.md).
 */
const MODEL = {
  n_layer: 3,
  n_embd: 192,
  n_head: 3,
  n_positions: 128,
  initializer_range: 0.05,
  embd_pdrop: 0,
  attn_pdrop: 0,
  resid_pdrop: 0,
};
const VOCABULARY = 2048;
const TRAINING = {
  trainBatchSize: 8,
  learningRate: 1.2e-3,
  lrSchedule: 'cosine',
  warmupProportion: 0.1,
  adam: { beta2: 0.98 },
} as const satisfies Partial<TrainOptions>;

/**
 * So small a model on so small a corpus answers best what was said last: it has seen each answer
 * at one place of a conversation only.
 */
const HISTORY_TURNS = 1;

/** What is said to a model of the starter corpus; with another corpus, held-out turns are. */
const CONVERSATIONS: readonly (readonly string[])[] = [
  ['Hello! How are you?', 'What is your name?', 'Where do you live?'],
  ['Do you have any pets?', 'I have a dog.', 'What is your favourite colour?'],
  ['I am sad today.', 'I miss my friend.', 'Tell me a joke.', 'Good night!'],
];

/** `dialogpt demo`: the whole path in a few minutes, on the starter corpus or one's own. */
export function demoCommand(): CommandUnknownOpts {
  return new Command('demo')
    .description('build, train, measure and talk to a small model of your own in a few minutes')
    .option('--corpus <file>', "conversations as TSV; the project's starter corpus unless given")
    .option('--out <folder>', 'where the dataset and the model go', 'runs/demo')
    .option('--steps <count>', 'optimizer steps', wholeNumber(1), 1050)
    .option('--seed <number>', 'where random numbers start', wholeNumber(0), 42)
    .addHelpText(
      'after',
      '\nExample:\n  dialogpt demo --corpus my-conversations.tsv --out runs/mine',
    )
    .action(async ({ corpus = STARTER_CORPUS, out, steps, seed }) => {
      const dataset = join(out, 'dataset');
      const model = join(out, 'model');
      for (const folder of [dataset, model]) {
        await withFileErrors(folder, () => rm(folder, { recursive: true, force: true }));
      }

      heading('1. Prepare: conversations → examples');
      const tokenizer = await trainTokenizer(corpus, VOCABULARY);
      const description = await buildDataset(corpus, dataset, tokenizer, { validation: 0.05 });
      console.log(`A vocabulary of ${tokenizer.size} tokens was learnt from ${shorten(corpus)}.`);
      console.log(describeDataset(dataset, description));

      heading('2. Train: examples → a model');
      const checkpoint = freshCheckpoint(tokenizer, MODEL, seed);
      const trainSplit = await Dataset.open(dataset, 'train');
      const heldOut = await Dataset.open(dataset, 'validation');
      const validation = await trainModel(checkpoint, trainSplit, heldOut, model, { steps, seed });

      heading('3. Measure: how well it predicts conversations it has not seen');
      if (validation === undefined) {
        console.log('Nothing was held out: the corpus is too small.');
      } else {
        const unigram = unigramPerplexity(trainSplit, heldOut, tokenizer.size);
        console.log(`held-out perplexity  ${formatPerplexity(validation.perplexity)}`);
        console.log(
          `unigram perplexity   ${formatPerplexity(unigram)} (knowing only how frequent tokens are)`,
        );
      }

      heading('4. Talk');
      const source = heldOut.length > 0 ? heldOut : trainSplit;
      const conversations =
        corpus === STARTER_CORPUS
          ? CONVERSATIONS
          : openings(source, (ids) => tokenizer.decode(ids));
      await using speaker = await loadModel(model);
      for (const turns of conversations) await converse(speaker, turns, seed);

      heading('Next');
      console.log(
        `Talk to it yourself:          npx dialogpt chat --model ${model} --max-history-turns ${HISTORY_TURNS}`,
      );
      console.log(
        `Train on your conversations:  npm run demo -- --corpus FILE.tsv --out runs/mine`,
      );
    });
}

async function trainModel(
  checkpoint: Checkpoint,
  trainSplit: Dataset,
  heldOut: Dataset,
  model: string,
  { steps, seed }: { readonly steps: number; readonly seed: number },
): Promise<ValidationReport | undefined> {
  const { config } = checkpoint.parameters;
  const size = (parameterCount(config) / 1e6).toFixed(1);
  console.log(
    `GPT-2 with ${config.n_layer} layers of width ${config.n_embd}: ${size} million parameters.`,
  );
  const display = new TrainingDisplay(steps);
  using interrupt = new Interrupt(() => {
    process.stderr.write('\nStopping after this step; press Ctrl-C again to stop at once.\n');
  });
  try {
    const result = await train(checkpoint, trainSplit, heldOut, {
      ...TRAINING,
      outputDir: model,
      numOptimSteps: steps,
      validStep: Math.ceil(steps / 4),
      seed,
      signal: interrupt.signal,
      onStep: (report) => {
        display.step(report);
      },
      onValidation: (report) => {
        display.validation(report);
      },
    });
    if (result.interrupted) {
      throw new InterruptedError(
        `Interrupted after step ${result.steps}; the model so far is in ${model}.`,
      );
    }
    return result.best;
  } finally {
    display.stop();
  }
}

/** Three conversations' worth of turns that people said in a dataset. */
function openings(
  dataset: Dataset,
  decode: (ids: readonly number[]) => string,
): readonly (readonly string[])[] {
  const said: string[] = [];
  for (let index = 0; index < dataset.length && said.length < 9; index++) {
    // The model takes the second, fourth… turn; the others are what it is told.
    const turns = dataset.turns(index).filter((_, turn) => turn % 2 === 0);
    for (const turn of turns.slice(0, 3)) said.push(decode(turn));
  }
  return [said.slice(0, 3), said.slice(3, 6), said.slice(6, 9)].filter((turns) => turns.length > 0);
}

async function converse(model: DialogModel, turns: readonly string[], seed: number): Promise<void> {
  const history: string[] = [];
  for (const turn of turns) {
    console.log(`${output.bold('you')}    ${turn}`);
    history.push(turn);
    const options = { seed, temperature: 0.3, topK: 10, maxHistoryTurns: HISTORY_TURNS };
    let reply = '';
    for await (const piece of model.reply(history, options)) {
      reply += piece;
    }
    console.log(`${output.green('model')}  ${reply}`);
    history.push(reply);
  }
  console.log();
}

function shorten(path: string): string {
  const short = relative(process.cwd(), path);
  return short.length < path.length ? short : path;
}
