import { createReadStream } from 'node:fs';
import { parse } from 'csv-parse';
import { z } from 'zod';
import { explainFileError, messageOf, UserError } from '../../base/errors.js';

/** One row of a table with a header, by column name. */
export type Row = Readonly<Record<string, string>>;

const rowSchema = z.record(z.string(), z.string());
const recordSchema = z.object({ record: rowSchema, info: z.object({ lines: z.number() }) });

/**
 * The rows of a CSV (or tab-separated) file whose first row names the columns, each with the line
 * it ends on. Quoted fields may span lines.
 *
 * @throws UserError that names file and line where the file is not CSV.
 */
export async function* readCsvRows(
  path: string,
  delimiter = ',',
): AsyncGenerator<{ readonly row: Row; readonly line: number }, void, undefined> {
  const parser = parse({
    columns: true,
    bom: true,
    delimiter,
    info: true,
    // A tab-separated file holds quotation marks as text.
    quote: delimiter === '\t' ? false : '"',
    relax_column_count_less: true,
    skip_empty_lines: true,
  });
  const file = createReadStream(path);
  file.on('error', (error) => {
    parser.destroy(error);
  });
  try {
    for await (const record of file.pipe(parser)) {
      const { record: row, info } = recordSchema.parse(record);
      yield { row, line: info.lines };
    }
  } catch (error) {
    const explained = explainFileError(error, path);
    if (explained !== error) throw explained;
    throw new UserError(`${path}: this is not CSV (${messageOf(error)}); mend the file.`, {
      cause: error,
    });
  } finally {
    file.destroy();
  }
}
