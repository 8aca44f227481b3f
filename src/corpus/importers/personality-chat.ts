import { UserError } from '../../base/errors.js';
import { readCsvRows } from './csv-rows.js';
import type { Importer } from './importer.js';

/** Personality Chat's questions and answers (`Queries_Responses_*_QnAMaker.tsv`), a pair a row. */
export const personalityChat: Importer = {
  description: "Personality Chat's questions and answers (Queries_Responses_*_QnAMaker.tsv)",
  async *read(path) {
    for await (const { row, line } of readCsvRows(path, '\t')) {
      const { Question: question, Answer: answer } = row;
      if (question === undefined || answer === undefined) {
        throw new UserError(
          `${path}:${line}: expected the columns Question and Answer; give a Queries_Responses_*_QnAMaker.tsv file.`,
        );
      }
      yield [{ text: question }, { text: answer }];
    }
  },
};
