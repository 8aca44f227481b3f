import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import {
  dstcCorpus,
  evaluateFiles,
  humanResponses,
  pairTexts,
  readKeyedReferences,
  readKeys,
} from '../../src/evaluation/index.js';
import { temporaryFolder } from '../support/files.js';

const lines = { path: 'responses.txt', texts: ["I'm b", 'Fine c', 'Well a'] };
const lineKeys = { path: 'keys.txt', texts: ['b', 'c', 'a'] };
const references = {
  path: 'test.refs.txt',
  cells: new Map([
    ['a', ['1|First a', '2|Human a', '3|Third a']],
    ['b', ['1|First b', '2|Human b']],
    ['c', ['no score', '2|Human c|more']],
  ]),
};

describe('dstcCorpus', () => {
  const options = { referenceCount: 4, vsHuman: -1, clean: false };

  it('orders by key and takes references in turn', () => {
    assert.deepEqual(dstcCorpus(lines, lineKeys, references, options), {
      hypotheses: ['Well a', "I'm b", 'Fine c'],
      references: [
        ['First a', 'Human a', 'Third a', 'First a'],
        ['First b', 'Human b', 'First b', 'Human b'],
        ['no score', 'Human c', 'no score', 'Human c'],
      ],
    });
  });

  it('puts the next reference in the place of the human response', () => {
    const corpus = dstcCorpus(lines, lineKeys, references, { ...options, vsHuman: 1 });
    assert.deepEqual(corpus.references.slice(0, 2), [
      ['First a', 'Third a', 'Third a', 'First a'],
      ['First b', 'First b', 'First b', 'First b'],
    ]);
  });

  it('cleans, and keeps only the keys asked for', () => {
    const corpus = dstcCorpus(lines, lineKeys, references, {
      ...options,
      referenceCount: 1,
      keys: ['b', 'unknown'],
      clean: true,
    });
    assert.deepEqual(corpus, { hypotheses: ["i 'm b"], references: [['first b']] });
  });

  it('says which files do not belong together', () => {
    const short = { path: 'short.txt', texts: ['a'] };
    assert.throws(
      () => dstcCorpus(short, lineKeys, references, options),
      /short\.txt has 1 lines but keys\.txt has 3 keys/,
    );
    const unknown = { path: 'keys.txt', texts: ['x', 'y', 'z'] };
    assert.throws(
      () => dstcCorpus(lines, unknown, references, options),
      /test\.refs\.txt: there is no reference for the key x/,
    );
    assert.throws(
      () => dstcCorpus(lines, lineKeys, references, { ...options, keys: ['q'] }),
      /none of its keys/,
    );
  });
});

describe('humanResponses', () => {
  it('takes the second reference, without its score', () => {
    assert.deepEqual(humanResponses(references, ['c', 'a']), ['Human c', 'Human a']);
    assert.throws(() => humanResponses(references, ['q']), /no human response .* the key q/);
  });
});

describe('files', () => {
  async function write(context: TestContext, files: Record<string, string>): Promise<string> {
    const folder = await temporaryFolder(context);
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    return folder;
  }

  it('of keys and references are read, and a line without a reference is named', async (context) => {
    const folder = await write(context, {
      'refs.txt': 'a\t1|x\t2|y\r\n\r\nb\t1|z\r\n',
      'bad.txt': 'a\tx\nb\n',
      'keys.txt': 'b\r\n\r\na\r\n',
    });
    const { cells } = await readKeyedReferences(join(folder, 'refs.txt'));
    assert.deepEqual(
      [...cells],
      [
        ['a', ['1|x', '2|y']],
        ['b', ['1|z']],
      ],
    );
    assert.deepEqual(await readKeys(join(folder, 'keys.txt')), ['b', 'a']);
    await assert.rejects(readKeyedReferences(join(folder, 'bad.txt')), /bad\.txt, line 2/);
  });

  it('give the same scores with Windows line ends', async (context) => {
    const folder = await write(context, {
      'unix.txt': 'a cat sat\n\nok\n',
      'windows.txt': 'a cat sat\r\n\r\nok\r\n',
      'ref.txt': 'the cat sat\nyes\nok\n',
      'ref-windows.txt': 'the cat sat\r\nyes\r\nok',
    });
    const score = async (hypothesis: string, reference: string): Promise<unknown> => {
      const { evaluations } = await evaluateFiles([join(folder, hypothesis)], {
        references: [join(folder, reference)],
      });
      return { ...evaluations[0], system: '' };
    };
    assert.deepEqual(
      await score('windows.txt', 'ref-windows.txt'),
      await score('unix.txt', 'ref.txt'),
    );
  });

  it('of different length are named with their counts', async (context) => {
    const folder = await write(context, { 'hyp.txt': 'a\nb\n', 'ref.txt': 'a\n', 'empty.txt': '' });
    const [hyp, ref, empty] = ['hyp.txt', 'ref.txt', 'empty.txt'].map((name) => join(folder, name));
    await assert.rejects(
      evaluateFiles([hyp ?? ''], { references: [ref ?? ''] }),
      /hyp\.txt has 2 lines but .*ref\.txt has 1/,
    );
    await assert.rejects(
      evaluateFiles([empty ?? ''], { references: [ref ?? ''] }),
      /empty\.txt: the file is empty/,
    );
    await assert.rejects(
      evaluateFiles([join(folder, 'no.txt')], { references: [ref ?? ''] }),
      /no\.txt: no such file/,
    );
    assert.throws(() => pairTexts({ path: 'x', texts: ['a'] }, []), /no reference/);
    await assert.rejects(evaluateFiles([hyp ?? ''], { references: [] }), /no reference/);
  });

  it('of a folder are all evaluated, log lines left out when asked', async (context) => {
    const folder = await write(context, { 'ref.txt': 'yes\nno\n' });
    await mkdir(join(folder, 'systems'));
    await writeFile(join(folder, 'systems', 'b.txt'), 'Val loss 3\nyes\n\nno\n');
    await writeFile(join(folder, 'systems', 'a.txt'), 'no\nno\n');
    const { evaluations, comparisons } = await evaluateFiles([join(folder, 'systems')], {
      references: [join(folder, 'ref.txt')],
      dropLogLines: true,
      significance: true,
      referenceCount: 3,
    });
    assert.deepEqual(
      evaluations.map(({ system, bleu }) => [system.slice(-5), bleu[0]]),
      [
        ['a.txt', 0.5],
        ['b.txt', 1],
      ],
    );
    assert.equal(comparisons?.[0]?.second, evaluations[1]?.system);
    await mkdir(join(folder, 'empty'));
    await assert.rejects(
      evaluateFiles([join(folder, 'empty')], { references: [join(folder, 'ref.txt')] }),
      /no \.txt file/,
    );
  });
});
