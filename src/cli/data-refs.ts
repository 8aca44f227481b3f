import { Command, type CommandUnknownOpts } from '@commander-js/extra-typings';
import { join } from 'node:path';
import { makeMultiReferences } from '../corpus/multi-references.js';

/** `dialogpt data refs`: conversations of the test months → the multi-reference test set. */
export function dataRefsCommand(): CommandUnknownOpts {
  return new Command('refs')
    .description('make the multi-reference test set (test.scored_refs.txt and test.refs.txt)')
    .requiredOption('--ids <file>', "the original's test-multi-refs-ids.txt")
    .requiredOption('--data <files...>', 'conversations with keys: conv/MONTH.tsv, also compressed')
    .option('--out <folder>', 'where the two files go', '.')
    .option('--dstc7 <file>', "also write DSTC-7's test.refs format")
    .option('--json', 'print the counts as JSON')
    .addHelpText(
      'after',
      '\nExample:\n  dialogpt data refs --ids test-multi-refs-ids.txt --data out/conv/*.tsv --out data',
    )
    .action(async ({ ids, data, out, dstc7, json }) => {
      const files = {
        scored: join(out, 'test.scored_refs.txt'),
        plain: join(out, 'test.refs.txt'),
        ...(dstc7 !== undefined && { dstc7 }),
      };
      const counts = await makeMultiReferences(ids, data, files);
      console.log(
        json === true
          ? JSON.stringify({ ...files, ...counts })
          : `${files.plain}: ${counts.contexts} contexts, ${counts.references} references; not in the data: ${counts.missingContexts} contexts, ${counts.missingReferences} references; of another context: ${counts.mismatches}`,
      );
    });
}
