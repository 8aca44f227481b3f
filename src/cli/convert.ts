import { Command, type CommandUnknownOpts, Option } from '@commander-js/extra-typings';
import { convertModel, FORMATS, PRECISIONS } from '../checkpoint/index.js';
import { findModel, MODEL_HELP } from './find-model.js';

/** `dialogpt convert IN OUT`: a model in another format. */
export function convertCommand(): CommandUnknownOpts {
  return new Command('convert')
    .description(
      'write a model for other programs: transformers (safetensors), transformers.js (ONNX)',
    )
    .argument('<in>', MODEL_HELP)
    .argument('<out>', 'the folder to write')
    .addOption(
      new Option('--to <format>', 'the format').choices(FORMATS).default('safetensors' as const),
    )
    .addOption(
      new Option(
        '--dtype <type>',
        'what the weights are stored as; int8 safetensors are for dialogpt alone',
      )
        .choices(PRECISIONS)
        .default('fp32' as const),
    )
    .addHelpText(
      'after',
      '\nExamples:\n  dialogpt convert medium_ft.pkl medium-ft --dtype fp16\n  dialogpt convert small web-model --to onnx --dtype int8\n  dialogpt convert my-model my-model-small --dtype int8',
    )
    .action(async (from, out, options) => {
      await convertModel(await findModel(from), out, options.to, options.dtype);
      console.log(out);
    });
}
