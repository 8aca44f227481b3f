import { Command, type CommandUnknownOpts } from '@commander-js/extra-typings';
import { describeModel, type ModelDescription, verifyModel } from '../checkpoint/index.js';
import { findModel, megabytes, MODEL_HELP } from './find-model.js';

/** `dialogpt info MODEL`: what a model is and what it needs. */
export function infoCommand(): CommandUnknownOpts {
  return new Command('info')
    .description('print what a model is: configuration, size, memory that it needs')
    .argument('<model>', MODEL_HELP)
    .option('--verify', 'read all weights: checksums where they are known, and finite numbers')
    .option('--json', 'print it as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  dialogpt info small\n  dialogpt info runs/mine\n  dialogpt info medium_ft.pkl --json\n  dialogpt info small --verify',
    )
    .action(async (model, options) => {
      const path = await findModel(model);
      const description = await describeModel(path);
      const verified = options.verify === true ? await verifyModel(path) : undefined;
      if (options.json === true) {
        console.log(JSON.stringify({ ...description, ...(verified && { verified }) }, null, 2));
        return;
      }
      console.log(describe(description));
      for (const file of verified ?? []) {
        const known = file.checksum ? 'as the hub has it' : 'sound; no checksum of it is known';
        console.log(`${file.path}: ${known}`);
      }
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
