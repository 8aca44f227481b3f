import { Command, Option } from '@commander-js/extra-typings';
import { DEVICES } from '../runtime/index.js';
import { SCHEDULES } from '../training/index.js';
import { number, positiveNumber, truth, wholeNumber } from './arguments.js';
import { MODEL_HELP } from './find-model.js';

const notNegative = number('a number of at least 0', (value) => value >= 0);
const share = number('a number from 0 to 1', (value) => value >= 0 && value <= 1);

/**
 * `dialogpt train` with its flags. None has a default here: what holds where nothing is given is
 * decided in `train-settings.ts`, when a configuration file and an earlier run have been read.
 */
function commandWithFlags() {
  return new Command('train')
    .description('train a model, or go on training one, on conversations of your own')
    .option('--data <path>', 'TSV, chat JSONL or another chat, or a dataset of `data build`')
    .option('--out <folder>', 'where the model, its checkpoints and its logs go')
    .option('--model <name>', `start from this model: ${MODEL_HELP}`)
    .option('--continue-from <run>', 'go on with a run: its folder, a checkpoint or a step')
    .option('--config <file>', 'JSON with any of these settings; the command line beats it')
    .optionsGroup("The original's names of the same; with them, its defaults hold:")
    .option('--train-input-file <path>', 'as --data')
    .option('--output-dir <folder>', 'as --out')
    .option('--model-name-or-path <name>', 'as --model')
    .option('--init-checkpoint <file>', "weights to start from instead of --model's; None: fresh")
    .optionsGroup('A fresh model:')
    .addOption(
      new Option('--size <name>', 'a published size').choices(['small', 'medium', 'large']),
    )
    .option('--n-layer <count>', 'layers', wholeNumber(1))
    .option('--n-embd <width>', 'width', wholeNumber(1))
    .option('--n-head <count>', 'attention heads', wholeNumber(1))
    .option('--n-positions <tokens>', 'the longest sequence', wholeNumber(2))
    .option('--initializer-range <deviation>', 'spread of the weights (0.02)', positiveNumber)
    .option('--dropout <ratio>', 'dropout; GPT-2 has 0.1', share)
    .option('--vocab-size <tokens>', 'learn a vocabulary of this size', wholeNumber(257))
    .optionsGroup('An adapter (LoRA), trained while the model stays as it is:')
    .option('--lora-rank <width>', 'train an adapter of this inner width', wholeNumber(1))
    .option(
      '--lora-alpha <number>',
      'it counts times this, divided by the rank (8)',
      positiveNumber,
    )
    .option('--lora-dropout <ratio>', 'dropout of what it reads (0)', share)
    .option('--lora-target-modules <names>', 'beside which weights it lies, by commas (c_attn)')
    .optionsGroup('The data:')
    .option('--eval-input-file <path>', 'held-out conversations or dataset')
    .option('--validation <share>', 'the share of --data to hold out without one', share)
    .option('--max-seq-length <tokens>', 'the longest example', wholeNumber(2))
    .option('--normalize-data [truth]', 'turn runs of white space into one space', truth)
    .option('--no-token-id <truth>', 'leave out token-type ids (the numbers of turns)', truth)
    .optionsGroup('The training:')
    .option('--num-optim-steps <steps>', 'optimizer steps', wholeNumber(1))
    .option(
      '--num-train-epochs <count>',
      'times through the data, in place of steps',
      positiveNumber,
    )
    .option('--train-batch-size <examples>', 'examples in a batch', wholeNumber(1))
    .option('--gradient-accumulation-steps <batches>', 'batches in a step', wholeNumber(1))
    .option('--learning-rate <rate>', 'the highest learning rate', positiveNumber)
    .addOption(new Option('--lr-schedule <name>', 'how it changes').choices(SCHEDULES))
    .option('--warmup-steps <steps>', 'rising part of noam and noamwd', wholeNumber(1))
    .option('--warmup-proportion <share>', 'rising part of BERT and cosine', share)
    .option('--adam-beta1 <share>', 'how much of the mean gradient is kept', share)
    .option('--adam-beta2 <share>', 'how much of the mean squared gradient is kept', share)
    .option('--adam-epsilon <number>', 'added to the root of the mean square', positiveNumber)
    .option('--weight-decay <rate>', 'of all but biases and layer norms', share)
    .option('--max-grad-norm <norm>', 'longer gradients are scaled down to it', positiveNumber)
    .option(
      '--fp16 [truth]',
      "mixed precision on a WebGPU device, and the original's optimizer for it",
      truth,
    )
    .option('--loss-scale <factor>', 'in half precision; 0 finds one by itself', notNegative)
    .option('--seed <number>', 'where random numbers start', wholeNumber(0))
    .addOption(new Option('--device <name>', 'where to compute').choices(DEVICES))
    .option('--threads <count>', 'threads to compute with', wholeNumber(1))
    .option('--recompute', 'less memory: compute each layer once more on the way back')
    .optionsGroup('Validation, checkpoints and logs:')
    .option('--valid-step <steps>', 'steps between validations', wholeNumber(1))
    .option('--eval-batch-size <examples>', 'examples in a batch of validation', wholeNumber(1))
    .option('--skip-eval', 'do not validate')
    .option(
      '--early-stopping-patience <count>',
      'end after so many validations without a lower perplexity; 0: never',
      wholeNumber(0),
    )
    .option('--sample-replies <count>', 'replies to print at each validation', wholeNumber(0))
    .option('--save-steps <steps>', 'steps between checkpoints (--valid-step)', wholeNumber(1))
    .option('--keep <count>', 'checkpoints to keep (2)', wholeNumber(1))
    .option('--log-dir <folder>', 'where the logs go, if not to --out')
    .option('--pbar [truth]', 'show progress', truth)
    .option('--dashboard [port]', 'show the run on a page of this machine (8124)', wholeNumber(0))
    .addHelpText(
      'after',
      `
Examples:
  dialogpt train --model small --data my.jsonl --out my-model
  dialogpt train --continue-from my-model
  dialogpt train --model medium --data my.jsonl --out my-adapter --lora-rank 8
  dialogpt train --data chats.tsv --out tiny --vocab-size 1024 --n-layer 4 --n-embd 128 --n-head 4 \\
    --n-positions 128 --num-optim-steps 1000 --learning-rate 1e-3

docs/training.md lists every default and what differs from the original.`,
    );
}

/** The command. */
export type TrainCommand = ReturnType<typeof commandWithFlags>;

/** Makes the command, without an action. */
export function newTrainCommand(): TrainCommand {
  return commandWithFlags();
}

/** What its flags say. */
export type TrainFlags = ReturnType<TrainCommand['opts']>;
