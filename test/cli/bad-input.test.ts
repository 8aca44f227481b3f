import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { mainFile, runCommand, start } from '../support/command.js';
import { makeTinyModel, succeed, TINY } from '../support/tiny.js';

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dialogpt-test-'));
  await makeTinyModel(folder);
  const write = (name: string, text: string) => writeFile(join(folder, name), text);
  await write('tabless.tsv', 'a EOS b\tc\nno tab here\n');
  await write('empty.tsv', '');
  await write('blank.tsv', '\n\n\n');
  const copy = async (from: string, to: string, change: (copied: string) => Promise<void>) => {
    await cp(join(folder, from), join(folder, to), { recursive: true });
    await change(join(folder, to));
  };
  await copy('model', 'broken-json', (to) => writeFile(join(to, 'config.json'), '{"n_layer":\n'));
  await copy('model', 'cut', (to) => truncate(join(to, 'model.safetensors'), 5000));
  await copy('model', 'flipped', async (to) => {
    const path = join(to, 'model.safetensors');
    const bytes = await readFile(path);
    bytes.writeUInt8(bytes.readUInt8(9) ^ 4, 9);
    await writeFile(path, bytes);
  });
  await copy('model', 'foreign-words', async (to) => {
    await rm(join(to, 'vocab.json'));
    await rm(join(to, 'merges.txt'));
  });
  await copy('model', 'foreign-merges', (to) => writeFile(join(to, 'merges.txt'), 'q z\n'));
  await copy('data', 'unfinished', (to) => rm(join(to, 'dataset.json')));
  await copy('data', 'cut-data', (to) => truncate(join(to, 'train-00000.parquet'), 100));
  const other = ['data', 'build', '--corpus', 'small.tsv', '--out', 'other', '--vocab-size', '310'];
  await succeed(folder, other);
});
after(() => rm(folder, { recursive: true, force: true }));

/** All files below a folder, hidden ones too. */
async function filesOf(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}

/** Runs a command that fails and asserts one clear line and no new file. */
async function fails(words: readonly string[], message: RegExp): Promise<void> {
  const files = await filesOf(folder);
  const { code, stderr } = await runCommand(words, { cwd: folder, input: 'Hello!\n' });
  assert.equal(code, 1, stderr);
  assert.match(stderr, /^dialogpt: [^\n]+\n$/);
  assert.match(stderr, message);
  assert.doesNotMatch(stderr, /unexpected/);
  assert.deepEqual(await filesOf(folder), files);
}

const build = (corpus: string, out = 'new') => ['data', 'build', '--corpus', corpus, '--out', out];
const train = (data: string, ...flags: string[]) => [
  'train',
  '--data',
  data,
  '--out',
  'new',
  '--num-optim-steps',
  '1',
  ...flags,
];
const chat = (model: string) => ['chat', '--model', model, '--once'];

describe('bad input', () => {
  const cases: readonly (readonly [string, readonly string[], RegExp])[] = [
    ['a missing corpus', build('missing.tsv'), /missing\.tsv: no such file/],
    ['a folder for a corpus', build('.'), /this is a folder; give a file/],
    ['a line without a tab', build('tabless.tsv'), /tabless\.tsv:2: .*0 tabs; mend/],
    ['an empty corpus', build('empty.tsv'), /empty\.tsv: nothing to train on/],
    ['a corpus of blank lines', build('blank.tsv'), /blank\.tsv:1: .*mend or remove/],
    ['a dataset that is there already', build('small.tsv', 'data'), /data: it exists already/],
    ['a file on the way to --out', build('small.tsv', 'small.tsv/x'), /is a file, not a folder/],
    [
      'a tokenizer that is not there',
      [...build('small.tsv'), '--tokenizer', './no'],
      /no: no such/,
    ],
    ['a demo of a missing corpus', ['demo', '--corpus', 'no', '--out', 'new'], /no: no such/],
    ['a file for a dataset', ['data', 'inspect', 'small.tsv'], /small\.tsv: there is no dataset/],
    ['an unfinished dataset', ['data', 'inspect', 'unfinished'], /unfinished: .*data build/],
    [
      'training on a line without a tab',
      train('tabless.tsv', ...TINY, '--vocab-size', '300'),
      /tabless\.tsv:2/,
    ],
    ['a cut shard', train('cut-data', '--model', 'model'), /train-00000\.parquet: .*build/],
    ['a dataset of other words', train('other', '--model', 'model'), /310 tokens.*has \d+; build/],
    ['odd heads', train('data', '--n-embd', '33', '--n-head', '2'), /33 is not a multiple of/],
    ['a missing model', chat('./missing'), /missing: no such file/],
    ['a file for a model', chat('small.tsv'), /small\.tsv: .*give a file that/],
    ['broken JSON', chat('broken-json'), /config\.json: this is not valid JSON/],
    ['a cut checkpoint', chat('cut'), /model\.safetensors: .*only 5000 bytes; .*get it again/],
    ['a flipped bit', chat('flipped'), /flipped.model\.safetensors: /],
    ["another model's vocabulary", chat('foreign-words'), /do not belong together/],
    ["another model's merges", chat('foreign-merges'), /merges\.txt: .*do not belong together/],
    ['CUDA without its libraries', [...chat('model'), '--device', 'cuda'], /--device cpu/],
  ];
  for (const [what, words, message] of cases) {
    const skip = what.startsWith('CUDA') && existsSync('/dev/nvidia0') && 'there is a GPU';
    it(`${what} ends in one clear line`, { skip }, () => fails(words, message));
  }

  it('--verbose prints where an error comes from', async () => {
    const { code, stderr } = await runCommand([...build('missing.tsv', 'never'), '--verbose'], {
      cwd: folder,
    });
    assert.equal(code, 1);
    assert.match(stderr, /missing\.tsv.*\n {4}at .*ENOENT/s);
  });
});

describe('a full disk', { skip: process.platform === 'win32' && 'needs a POSIX shell' }, () => {
  it(
    'under standard output ends in one clear line',
    { skip: !existsSync('/dev/full') },
    async () => {
      const script = '"$0" "$1" data inspect data --json > /dev/full';
      const words = ['-c', script, process.execPath, mainFile];
      const { code, stderr } = await start('sh', words, { cwd: folder }).ended;
      assert.equal(code, 1);
      assert.match(stderr, /^dialogpt: standard output: no space left[^\n]*\n$/);
    },
  );

  it('while a model is saved leaves no file that looks complete', async () => {
    // A limit on the size of files fails at the same calls as a full disk does.
    await mkdir(join(folder, 'full'));
    const script = 'ulimit -f 16; exec "$0" "$@"';
    const options = { cwd: folder };
    const flags = [
      'train',
      '--data',
      'data',
      '--out',
      'full/new',
      '--num-optim-steps',
      '1',
      ...TINY,
    ];
    const words = ['-c', script, process.execPath, mainFile, ...flags];
    const { code, stderr } = await start('sh', words, options).ended;
    assert.equal(code, 1, stderr);
    assert.match(stderr, /\ndialogpt: full\/new\/\S+: the file would be larger[^\n]*\n$/);
    assert.deepEqual(await readdir(join(folder, 'full')), []);
  });
});
