import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { runCommand } from '../support/command.js';
import { temporaryFolder } from '../support/files.js';
import { TINY, writeSmallCorpus } from '../support/tiny.js';

/** ONNX Runtime keeps the identifier that it sends with a machine's data below this folder. */
const KEPT = 'Microsoft';

describe('ONNX Runtime', () => {
  const train = ['train', '--data', 'small.tsv', '--vocab-size', '300', '--out', 'model', ...TINY];
  const commands: readonly (readonly [string, readonly string[]])[] = [
    ['chat', ['chat', '--once']],
    ['train', [...train, '--num-optim-steps', '1']],
  ];
  for (const [name, words] of commands) {
    it(`sends nothing about its use, and keeps nothing to send: ${name}`, async (context) => {
      const folder = await temporaryFolder(context);
      await writeSmallCorpus(folder);
      const env = {
        HOME: folder,
        // Both of these keep ONNX Runtime still as well.
        CI: undefined,
        ORT_DISABLE_TELEMETRY: undefined,
        XDG_CACHE_HOME: undefined,
        XDG_DATA_HOME: undefined,
      };
      const { code, stderr } = await runCommand(words, { cwd: folder, env, input: 'Hello!\n' });
      assert.equal(code, 0, stderr);
      const files = await readdir(folder, { recursive: true });
      assert.deepEqual(
        files.filter((file) => file.includes(KEPT)),
        [],
      );
    });
  }
});
