import { Command, type CommandUnknownOpts } from '@commander-js/extra-typings';
import { join } from 'node:path';
import { convertMultiReferences, makeMultiReferences } from '../corpus/multi-references.js';
import { UsageError } from './arguments.js';

/** `dialogpt data refs`: conversations of the test months → the multi-reference test set. */
export function dataRefsCommand(): CommandUnknownOpts {
  return new Command('refs')
    .description('make the multi-reference test set (test.scored_refs.txt and test.refs.txt)')
    .option('--ids <file>', "the original's test-multi-refs-ids.txt")
    .option('--data <files...>', 'conversations with keys: conv/MONTH.tsv, also compressed')
    .option('--from <file>', "convert a test set instead: scored, plain or DSTC-7's test.refs")
    .option('--contexts <file>', "with --from: DSTC-7's contexts, key <tab> … <tab> context")
    .option('--out <folder>', 'where the two files go', '.')
    .option('--dstc7 <file>', "also write DSTC-7's test.refs: key <tab> score|response …")
    .option('--json', 'print the counts as JSON')
    .addHelpText(
      'after',
      `
Examples:
  dialogpt data refs --ids test-multi-refs-ids.txt --data out/conv/*.tsv --out data
  dialogpt data refs --from test.scored_refs.txt --dstc7 test.refs
  dialogpt data refs --from test.refs --contexts test.contexts.tsv --out data`,
    )
    .action(async ({ ids, data, from, contexts, out, dstc7, json }) => {
      const both = {
        scored: join(out, 'test.scored_refs.txt'),
        plain: join(out, 'test.refs.txt'),
      };
      const more = dstc7 === undefined ? {} : { dstc7 };
      let line: string;
      let result: object;
      if (from !== undefined) {
        if (ids !== undefined || data !== undefined) {
          throw new UsageError('--from converts a test set, --ids and --data make one; choose.');
        }
        const files = dstc7 === undefined ? both : more;
        const counts = await convertMultiReferences(from, files, contexts);
        result = { ...files, ...counts };
        line = `${Object.values(files).join(', ')}: ${counts.contexts} contexts, ${counts.references} references`;
      } else {
        if (ids === undefined || data === undefined) {
          throw new UsageError(
            'Give --ids and --data to make a test set, or --from to convert one.',
          );
        }
        const files = { ...both, ...more };
        const counts = await makeMultiReferences(ids, data, files);
        result = { ...files, ...counts };
        line = `${files.plain}: ${counts.contexts} contexts, ${counts.references} references; not in the data: ${counts.missingContexts} contexts, ${counts.missingReferences} references; of another context: ${counts.mismatches}`;
      }
      console.log(json === true ? JSON.stringify(result) : line);
    });
}
