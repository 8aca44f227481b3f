import { Command, type CommandUnknownOpts } from '@commander-js/extra-typings';
import { hubSettings, listCachedModels, SHORT_NAMES } from '../checkpoint/index.js';
import { megabytes } from './find-model.js';

/** `dialogpt models`: the models in the cache that Hugging Face's libraries share. */
export function modelsCommand(): CommandUnknownOpts {
  return new Command('models')
    .description('list the models that are downloaded, with their sizes')
    .option('--json', 'print them as JSON')
    .addHelpText('after', '\nExample:\n  HF_HOME=/data/huggingface dialogpt models')
    .action(async (options) => {
      const { cache } = await hubSettings();
      const models = await listCachedModels(cache);
      if (options.json === true) {
        console.log(JSON.stringify({ cache, models }, null, 2));
        return;
      }
      for (const { name, bytes, revisions } of models) {
        const short = [...SHORT_NAMES].find(([, id]) => id === name)?.[0];
        const names = short === undefined ? name : `${name} (${short})`;
        const size = `${megabytes(bytes).toLocaleString('en')} MB`;
        console.log(`${size.padStart(10)}  ${names}  ${revisions.join(', ')}`);
      }
      if (models.length === 0)
        console.log(`No models in ${cache}; \`dialogpt info small\` gets one.`);
    });
}
