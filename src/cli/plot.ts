import { Command, type CommandUnknownOpts } from '@commander-js/extra-typings';
import { join } from 'node:path';
import { writeFileWhole } from '../base/files.js';
import { drawCurves, readRuns, svgToPng } from '../training/index.js';

/** `dialogpt plot RUN…`: the curves of training runs. */
export function plotCommand(): CommandUnknownOpts {
  return new Command('plot')
    .description(
      'draw the curves of training runs: loss, perplexity, learning rate, speed, gradient',
    )
    .argument('<runs...>', 'folders of runs, or their --log-dir; several are laid over each other')
    .option('--out <name>', 'NAME.svg and NAME.png are written (curves, in the first run)')
    .option('--json', 'print the curves as JSON and draw nothing')
    .addHelpText(
      'after',
      '\nExamples:\n  dialogpt plot my-model\n  dialogpt plot my-model my-adapter --out compared\n  dialogpt plot my-model --json',
    )
    .action(async (folders, options) => {
      const runs = await readRuns(folders);
      if (options.json === true) {
        console.log(JSON.stringify(runs, undefined, 2));
        return;
      }
      const name = options.out ?? join(folders[0] ?? '.', 'curves');
      const svg = await drawCurves(runs);
      for (const [path, bytes] of [
        [`${name}.svg`, svg],
        [`${name}.png`, await svgToPng(svg)],
      ] as const) {
        await writeFileWhole(path, bytes);
        console.log(path);
      }
    });
}
