import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { readJudgedResponses } from '../../src/base/judged-responses.js';
import { temporaryFolder } from '../support/files.js';

describe('readJudgedResponses', () => {
  it('reads contexts, responses and verdicts, and names the line that is otherwise', async (context) => {
    const folder = await temporaryFolder(context);
    const file = join(folder, 'judged.tsv');
    await writeFile(file, 'Hi EOS Hello!\tHow are you?\t1\n\nHi\tHam\t0\n');
    assert.deepEqual(await readJudgedResponses(file), [
      { history: ['Hi', 'Hello!'], response: 'How are you?', good: true },
      { history: ['Hi'], response: 'Ham', good: false },
    ]);
    for (const line of [
      'Hi\tHam',
      'Hi\tHam\t2',
      'Hi\tHam\t1\tmore',
      '\tHam\t1',
      'Hi EOS \tHam\t1',
    ]) {
      await writeFile(file, `Hi\tHam\t0\n${line}\n`);
      await assert.rejects(
        readJudgedResponses(file),
        /line 2: expected a context, a response/,
        line,
      );
    }
  });
});
