import { Command, type CommandUnknownOpts } from '@commander-js/extra-typings';
import { describeModel, type ModelDescription } from '../checkpoint/index.js';
import { findModel, megabytes, MODEL_HELP } from './find-model.js';

/** `dialogpt info MODEL`: what a model is and what it needs. */
export function infoCommand(): CommandUnknownOpts {
  return new Command('info')
    .description('print what a model is: configuration, size, memory that it needs')
    .argument('<model>', MODEL_HELP)
    .option('--json', 'print it as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  dialogpt info small\n  dialogpt info runs/mine\n  dialogpt info medium_ft.pkl --json',
    )
    .action(async (model, options) => {
      const description = await describeModel(await findModel(model));
      console.log(
        options.json === true ? JSON.stringify(description, null, 2) : describe(description),
      );
    });
}

function describe(description: ModelDescription): string {
  const { config, memory } = description;
  const facts: [string, string][] = [
    ['model', description.path],
    ['kind', description.isRanker ? 'GPT-2, ranks replies' : 'GPT-2, writes replies'],
    ['parameters', description.parameters.toLocaleString('en')],
    ['stored as', description.dtypes.join(', ')],
    ['layers', String(config.n_layer)],
    ['width', String(config.n_embd)],
    ['heads', String(config.n_head)],
    ['positions', String(config.n_positions)],
    ['vocabulary', config.vocab_size.toLocaleString('en')],
    ...description.files.map(({ path, bytes }): [string, string] => [
      'file',
      `${path} (${size(bytes)})`,
    ]),
    ['memory: weights', size(memory.weights)],
    ['memory: a full conversation', size(memory.cache)],
    ['memory: training', `${size(memory.training)} and what a batch takes`],
  ];
  const width = Math.max(...facts.map(([name]) => name.length));
  return facts.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n');
}

function size(bytes: number): string {
  return `${megabytes(bytes).toLocaleString('en')} MB`;
}
