import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { range } from '../../src/base/arrays.js';
import { exists } from '../../src/base/files.js';
import { runCommandLine } from '../../src/cli/program.js';
import { freshCheckpoint, loadCheckpoint, saveCheckpoint } from '../../src/checkpoint/index.js';
import { Decoder, generate, loadModel, promptTokens } from '../../src/decoding/index.js';
import { evaluateFiles, modelResponses, presetOptions } from '../../src/evaluation/index.js';
import { Tokenizer, trainVocabulary } from '../../src/tokenizer/index.js';
import { runCommand, startCommand } from '../support/command.js';

const tokenizer = new Tokenizer(trainVocabulary(['hello there how are you doing'], 270));
const config = { n_positions: 96, n_embd: 32, n_layer: 2, n_head: 4, initializer_range: 0.4 };
const words = ['hello', 'there', 'how', 'are', 'you', 'doing'];

/** So many contexts, the first with two turns, and references for each. */
function multiReferences(count: number): string {
  return range(0, count)
    .map((line) => {
      const word = words[line % words.length] ?? '';
      const context = `${word} ${words[Math.floor(line / 6) % 6] ?? ''}`;
      return `${line === 0 ? 'hi EOS ' : ''}${context}\tyou are ${word}\thello\tthere you`;
    })
    .map((line) => `${line}\n`)
    .join('');
}

const scores = z.object({ system: z.string(), instances: z.number(), bleu: z.array(z.number()) });

describe('dialogpt eval --model', () => {
  let folder = '';
  const path = (name: string) => join(folder, name);
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'dialogpt-test-'));
    await saveCheckpoint(path('model'), freshCheckpoint(tokenizer, config, 17));
    await saveCheckpoint(path('reverse'), freshCheckpoint(tokenizer, config, 18));
    await writeFile(path('refs.txt'), multiReferences(5));
  });
  after(() => rm(folder, { recursive: true }));

  const evaluate = (...words: string[]) =>
    runCommand(['eval', '--model', 'model', '--max-new-tokens', '12', ...words], { cwd: folder });

  it('responds as the presets say, and scores in one go', async () => {
    const { code, stdout, stderr } = await evaluate(
      ...['--presets', 'greedy,beam,mmi', '--reverse-model', 'reverse', '--refs', 'refs.txt'],
      ...['--out', 'all.txt', '--json', '--significance'],
    );
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^beam: 5\/5 responses \| \d+ tokens\/s \| .*left$/m);
    const { systems } = z.object({ systems: z.array(scores) }).parse(JSON.parse(stdout));
    assert.deepEqual(
      systems.map(({ system, instances }) => [system, instances]),
      ['greedy', 'beam', 'mmi'].map((preset) => [`model, ${preset}`, 5]),
    );
    // What was written scores the same by itself.
    const { evaluations } = await evaluateFiles([path('all.beam.txt')], {
      references: [path('refs.txt')],
      multiReferences: true,
    });
    assert.deepEqual(evaluations[0]?.bleu, systems[1]?.bleu);

    const checkpoint = await loadCheckpoint(path('model'));
    await using decoder = await Decoder.create(checkpoint.parameters);
    const { maxHistoryTurns, noRepeatReplyNgramSize, noRepeatHistoryNgramSize, ...decoding } =
      presetOptions('beam', { maxNewTokens: 12 });
    assert.deepEqual(
      [maxHistoryTurns, noRepeatReplyNgramSize, noRepeatHistoryNgramSize],
      [0, 0, 0],
    );
    const prompt = promptTokens(tokenizer, ['hi', 'hello hello'], 84);
    const [best] = await generate(decoder, tokenizer.endOfText, prompt, decoding);
    const [first] = (await readFile(path('all.beam.txt'), 'utf8')).split('\n');
    assert.equal(
      first,
      tokenizer
        .decode(best?.tokens ?? [])
        .replace(/\s+/g, ' ')
        .trim(),
    );

    await using model = await loadModel(path('model'), { reverseModel: path('reverse') });
    let reply = '';
    const options = presetOptions('mmi', { maxNewTokens: 12 });
    assert.equal(options.numCandidates, 16);
    for await (const piece of model.reply(['hello'], options)) reply += piece;
    assert.notEqual(reply, '');
  });

  it('prints the published table beside', async () => {
    const { stdout, stderr } = await evaluate('--refs', 'refs.txt', '--n-lines', '2');
    assert.match(stdout, /DialoGPT 345M, beam.*model, greedy/);
    assert.match(stdout, /NIST-2 +3\.41 +2\.39 +3\.00 +2\.84 +3\.40 +3\.28 /);
    assert.match(stdout, /Published: README of github\.com\/microsoft\/DialoGPT/);
    assert.doesNotMatch(stderr, /5\/5/);
  });

  it('takes contexts and references from files of their own', async () => {
    await writeFile(path('contexts.txt'), 'hi EOS hello hello\nthere hello\n');
    await writeFile(path('one.txt'), 'you are hello\nyou are there\n');
    await writeFile(path('two.txt'), 'hello\nhello\n');
    await writeFile(path('short.txt'), 'hello\n');
    const of = (...words: string[]) =>
      evaluate('--contexts', 'contexts.txt', '--json', '--refs', 'one.txt', ...words);
    const { stdout } = await of('two.txt');
    const whole = await evaluate('--refs', 'refs.txt', '--json', '--n-lines', '2', '--n-refs', '2');
    assert.deepEqual(JSON.parse(stdout), JSON.parse(whole.stdout));
    const { code, stderr } = await of('short.txt');
    assert.equal(code, 1);
    assert.match(stderr, /contexts\.txt has 2 lines but short\.txt has 1; /);
  });

  it('goes on after a kill, and reads what is whole', async () => {
    await writeFile(path('many.txt'), multiReferences(60));
    const command = ['eval', '--model', 'model', '--refs', 'many.txt', '--json'];
    const flags = ['--batch-size', '1', '--max-new-tokens', '30'];
    const undisturbed = await runCommand([...command, ...flags, '--out', 'whole.txt'], {
      cwd: folder,
    });
    assert.equal(undisturbed.code, 0, undisturbed.stderr);

    const killed = startCommand([...command, ...flags, '--out', 'killed.txt'], { cwd: folder });
    const partial = path('killed.txt.partial');
    while (!(await exists(partial)) || (await readFile(partial, 'utf8')).split('\n').length < 4) {
      await sleep(5);
    }
    killed.process.kill('SIGKILL');
    assert.equal((await killed.ended).signal, 'SIGKILL');
    const resumed = await runCommand([...command, ...flags, '--out', 'killed.txt'], {
      cwd: folder,
    });
    assert.equal(resumed.code, 0, resumed.stderr);
    assert.doesNotMatch(resumed.stderr, /60\/60/);
    assert.equal(resumed.stdout, undisturbed.stdout);
    assert.equal(
      await readFile(path('killed.txt'), 'utf8'),
      await readFile(path('whole.txt'), 'utf8'),
    );

    const again = await runCommand([...command, ...flags, '--out', 'whole.txt'], { cwd: folder });
    assert.equal(again.stdout, undisturbed.stdout);
    assert.doesNotMatch(again.stderr, /responses/);
    const run = { model: path('model'), presets: ['greedy'], out: path('whole.txt') } as const;
    await assert.rejects(
      modelResponses(run, [['hello']]),
      /whole\.txt: it was not made with these settings \(contexts, options\)/,
    );
    const anew = await modelResponses({ ...run, overwrite: true }, [['hello']]);
    assert.equal(await readFile(path('whole.txt'), 'utf8'), `${anew.get('greedy')?.[0] ?? ''}\n`);
  });

  it('ends at a signal', async () => {
    const ending = AbortSignal.abort(new Error('enough'));
    const run = { model: path('model'), presets: ['greedy'], signal: ending } as const;
    await assert.rejects(modelResponses(run, [['hello']]), /enough/);
  });

  it('says what does not go together', async (context) => {
    const model = ['--model', path('model')];
    const refs = ['--refs', path('refs.txt')];
    const outcomes: [string[], number, RegExp][] = [
      [[...model, '--presets', 'mmi', ...refs], 2, /mmi needs a --reverse-model/],
      [[...model, '--presets', 'best', ...refs], 2, /greedy, beam, mmi/],
      [[...model, '--reverse-model', path('reverse'), ...refs], 2, /is for the preset mmi/],
      [[...model, path('refs.txt'), ...refs], 2, /not both/],
      [[...model, ...refs, path('refs.txt')], 1, /one file, not 2/],
      [[...model, ...refs, '--keys', path('refs.txt')], 2, /for files of responses/],
      [[...model, '--refs', path('none.txt')], 1, /none\.txt: no such file/],
      [[...model, '--refs', path('bare.txt')], 1, /bare\.txt:1: expected "context/],
      [[...model, '--refs', path('blank.txt')], 1, /blank\.txt:2: there is nothing to reply to/],
      [[...model, '--refs', path('empty.txt')], 1, /empty\.txt: the file is empty/],
      [refs, 2, /nothing to score/],
      [[path('refs.txt'), ...refs, '--out', 'x'], 2, /--out is for --model/],
      [[path('refs.txt'), ...refs, '--multi-refs', '--keys', 'x'], 2, /two forms of references/],
    ];
    await writeFile(path('bare.txt'), 'hello\n');
    await writeFile(path('blank.txt'), 'hello\ta\n \ta\n');
    await writeFile(path('empty.txt'), '');
    let written = '';
    context.mock.method(process.stderr, 'write', (text: string) => {
      written += text;
      return true;
    });
    for (const [words, code, message] of outcomes) {
      written = '';
      assert.equal(await runCommandLine(['eval', ...words]), code, written);
      assert.match(written, message);
    }
  });
});
