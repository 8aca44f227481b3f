import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { UserError } from '../../src/base/errors.js';
import { loadVocabulary, saveVocabulary, trainVocabulary } from '../../src/tokenizer/index.js';
import { temporaryFolder } from '../support/files.js';

const trained = trainVocabulary(['low lower lowest new newer newest low low new'], 270);

describe('loadVocabulary', () => {
  async function damaged(
    context: TestContext,
    name: 'vocab.json' | 'merges.txt',
    change: (text: string) => string,
  ): Promise<string> {
    const folder = await temporaryFolder(context);
    await saveVocabulary(folder, trained, 64);
    const path = join(folder, name);
    await writeFile(path, change(await readFile(path, 'utf8')));
    return folder;
  }

  const damages: readonly (readonly [
    string,
    'vocab.json' | 'merges.txt',
    (text: string) => string,
    RegExp,
  ])[] = [
    ['cut short', 'vocab.json', (text) => text.slice(0, 100), /not valid JSON/],
    ['no object', 'vocab.json', () => '[1, 2]', /not a list of tokens with their ids/],
    [
      'an id that is no number',
      'vocab.json',
      (text) => text.replace(': 5,', ': "5",'),
      /not a list/,
    ],
    [
      'no end of text',
      'vocab.json',
      (text) => text.replace('endoftext', 'end'),
      /must be the last/,
    ],
    ['an id twice', 'vocab.json', (text) => text.replace(': 5,', ': 4,'), /\(id 4\) is not one of/],
    ['a character that is no byte', 'vocab.json', (text) => text.replace('"!"', '"世"'), /"世"/],
    [
      'two merges exchanged',
      'merges.txt',
      swapLines,
      /merge 1 is not the one that the vocabulary needs/,
    ],
    ['a merge missing', 'merges.txt', (text) => text.split('\n').slice(0, -2).join('\n'), /merge/],
    ['a merge too many', 'merges.txt', (text) => `${text}a b\n`, /merge/],
    ['no merge at all', 'merges.txt', () => '', /merge 1 /],
    ['a merge cut elsewhere', 'merges.txt', cutElsewhere, /merge 2 is not/],
  ];
  for (const [about, name, change, message] of damages) {
    it(`names a damaged ${name}: ${about}`, async (context) => {
      const folder = await damaged(context, name, change);
      await assert.rejects(loadVocabulary(folder), (error: unknown) => {
        assert.ok(error instanceof UserError, String(error));
        assert.ok(error.message.startsWith(`${join(folder, name)}: `), error.message);
        assert.match(error.message, message);
        assert.ok(!error.message.includes('\n'));
        return true;
      });
    });
  }

  it('reads files whose lines end as on Windows', async (context) => {
    const folder = await damaged(context, 'merges.txt', (text) => text.replaceAll('\n', '\r\n'));
    assert.deepEqual(await loadVocabulary(folder), trained);
  });

  it('says which file is missing', async (context) => {
    const folder = await temporaryFolder(context);
    await assert.rejects(loadVocabulary(folder), {
      message: `${join(folder, 'vocab.json')}: no such file or folder; check the path.`,
    });
    await saveVocabulary(folder, trained, 64);
    await rm(join(folder, 'merges.txt'));
    await assert.rejects(loadVocabulary(folder), {
      message: `${join(folder, 'merges.txt')}: no such file or folder; check the path.`,
    });
  });

  it('refuses tokens that no merges lead to, and a merge of words with #', async (context) => {
    const folder = await temporaryFolder(context);
    const tokens = [...trained.tokens.slice(0, 256), [97, 98, 99]];
    await assert.rejects(saveVocabulary(folder, { tokens }, 64), /Token 256 is not made of/);
    const hashes = trainVocabulary(['## ## ## ##version ##version #version #version'], 300);
    await saveVocabulary(folder, hashes, 64);
    assert.deepEqual(await loadVocabulary(folder), hashes);
  });
});

function swapLines(text: string): string {
  const [version = '', first = '', second = '', ...others] = text.split('\n');
  return [version, second, first, ...others].join('\n');
}

/** The second merge of the form `ab c` as `a bc`. */
function cutElsewhere(text: string): string {
  const lines = text.split('\n');
  const [left = '', right = ''] = (lines[2] ?? '').split(' ');
  return lines.with(2, `${left.slice(0, 1)} ${left.slice(1)}${right}`).join('\n');
}
