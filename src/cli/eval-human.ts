import { Command, type CommandUnknownOpts } from '@commander-js/extra-typings';
import { writeFileWhole } from '../base/files.js';
import { humanResponses, readKeyedReferences, readKeys } from '../evaluation/index.js';

/** `dialogpt eval human`: the human responses among DSTC-7's references. */
export function evalHumanCommand(): CommandUnknownOpts {
  return new Command('human')
    .description('extract the human responses from keyed references')
    .requiredOption('--refs <file>', 'a key and its references a line, separated by tabs')
    .requiredOption('--keys <file>', 'the keys, in the order of the responses')
    .option('--out <file>', 'where to write them (default: print them)')
    .addHelpText(
      'after',
      '\nExample:\n  dialogpt eval human --refs test.refs.txt --keys test_real.keys.txt --out human.resp.txt',
    )
    .action(async ({ refs, keys, out }) => {
      const responses = humanResponses(await readKeyedReferences(refs), await readKeys(keys));
      const text = responses.map((response) => `${response}\n`).join('');
      if (out === undefined) process.stdout.write(text);
      else await writeFileWhole(out, text);
    });
}
