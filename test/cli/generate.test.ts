import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir, readFile, stat, writeFile, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { z } from 'zod';
import { range } from '../../src/base/arrays.js';
import { runCommand, type RunOptions, startCommand } from '../support/command.js';
import { golden, temporaryFolder } from '../support/files.js';

const model = ['--model', golden('ranking', 'reverse'), '--threads', '1'];
const short = ['--max-new-tokens', '6'];

function generate(words: readonly string[], options: RunOptions = {}) {
  return runCommand(['generate', ...model, ...words], options);
}

async function writeContexts(folder: string, lines: number): Promise<string> {
  const path = join(folder, 'contexts.tsv');
  const text = range(0, lines).map((line) => `hello EOS say ${line}\treference\n`);
  await writeFile(path, text.join(''));
  return path;
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

describe('dialogpt generate', () => {
  it('writes a line for each context, to a file as to standard output', async (context) => {
    const folder = await temporaryFolder(context);
    const input = await writeContexts(folder, 5);
    const out = join(folder, 'out.txt');
    const toFile = await generate(['--input', input, '--out', out, ...short]);
    assert.equal(toFile.code, 0, toFile.stderr);
    assert.match(toFile.stderr, /5\/5 responses \| \d+ tokens\/s/);
    const text = await readFile(out, 'utf8');
    assert.equal(text.split('\n').length, 6);
    const piped = await generate(['--batch-size', '2', ...short], {
      input: await readFile(input, 'utf8'),
    });
    assert.equal(piped.stdout, text);
    assert.deepEqual((await readdir(folder)).sort(), ['contexts.tsv', 'out.txt']);

    const again = await generate(['--input', input, '--out', out, ...short]);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /out\.txt: it exists already; .* --overwrite\.\n$/);
    const other = ['--input', input, '--out', out, ...short, '--seed', '1', '--overwrite'];
    assert.equal((await generate(other)).code, 0);
    assert.notEqual(await readFile(out, 'utf8'), text);
  });

  it("takes a length penalty where the model's own replies are of beams", async () => {
    const words = ['--length-penalty', '-2', '--seed', '1'];
    const [own, other] = await Promise.all([
      runCommand(['generate', '--threads', '1', ...words], { input: 'Hello there!\n' }),
      generate(words, { input: 'Hello there!\n' }),
    ]);
    assert.equal(own.code, 0, own.stderr);
    assert.match(own.stdout, /^\S.*\n$/);
    assert.match(other.stderr, /--length-penalty: is for beam search; set --num-beams above 1/);
    assert.equal(other.code, 2);
  });

  it('tells candidates and scores as JSON', async () => {
    const words = ['--json', '--num-candidates', '3', '--rerank', 'mmi', ...short];
    const reverse = ['--reverse-model', golden('ranking', 'reverse')];
    const input = '{"messages":[{"role":"user","content":"hi"}]}\n["a","b"]\n';
    const { code, stdout, stderr } = await generate([...words, ...reverse], { input });
    assert.equal(code, 0, stderr);
    const schema = z.object({
      line: z.number(),
      context: z.array(z.string()),
      response: z.string(),
      finish: z.string(),
      prompt_tokens: z.number(),
      completion_tokens: z.number(),
      candidates: z.array(z.object({ text: z.string(), scores: z.object({ final: z.number() }) })),
    });
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => schema.parse(JSON.parse(line)));
    assert.deepEqual(
      lines.map(({ line, context, prompt_tokens }) => [line, context, prompt_tokens]),
      [
        [1, ['hi'], 3],
        [2, ['a', 'b'], 4],
      ],
    );
    for (const { response, candidates } of lines) assert.equal(response, candidates[0]?.text);
  });

  it('goes on after kill -9 and after Ctrl-C, with the same result', async (context) => {
    const folder = await temporaryFolder(context);
    // So many that none of the runs is over before it is ended.
    const input = await writeContexts(folder, 600);
    const out = join(folder, 'out.txt');
    const words = ['generate', ...model, '--input', input, '--out', out, ...short];
    const untilGrown = async (from: number) => {
      while ((await sizeOf(`${out}.partial`)) <= from) {
        assert.ok(!existsSync(out), 'It was over before it could be ended.');
        await setTimeout(5);
      }
    };
    const killed = startCommand(words);
    await untilGrown(0);
    killed.process.kill('SIGKILL');
    await killed.ended;
    // Half a line, as a power cut may leave it.
    const kept = await readFile(`${out}.partial`);
    await writeFile(`${out}.partial`, Buffer.concat([kept, Buffer.from('half a li')]));

    const changed = await generate(['--input', input, '--out', out, ...short, '--seed', '9']);
    assert.equal(changed.code, 1);
    assert.match(changed.stderr, /it was begun with other settings \(options\); give those again/);

    const interrupted = startCommand(words);
    await untilGrown(kept.length + 20);
    interrupted.process.kill('SIGINT');
    const { code, stderr } = await interrupted.ended;
    assert.equal(code, 130, stderr);
    assert.match(stderr, /Going on after \d+ responses/);
    assert.match(stderr, /Interrupted\. \d+ of 600 responses are kept; run the same command again/);
    assert.ok(!existsSync(out));

    assert.equal((await runCommand(words)).code, 0);
    const whole = await generate(['--input', input, ...short]);
    assert.equal(await readFile(out, 'utf8'), whole.stdout);
    assert.deepEqual((await readdir(folder)).sort(), ['contexts.tsv', 'out.txt']);
  });

  it('shares the work under mpirun and srun, whoever ends last', async (context) => {
    const folder = await temporaryFolder(context);
    const input = await writeContexts(folder, 7);
    const out = join(folder, 'out.txt');
    const run = (rank: number) =>
      generate(['--input', input, '--out', out, ...short], {
        env: { SLURM_PROCID: String(rank), SLURM_STEP_NUM_TASKS: '3' },
      });
    assert.equal((await run(2)).code, 0);
    assert.ok(!existsSync(out));
    // A rank that is started again has nothing left to do.
    assert.equal((await run(2)).code, 0);
    const results = await Promise.all([run(0), run(1)]);
    for (const { code, stderr } of results) assert.equal(code, 0, stderr);
    const whole = await generate(['--input', input, ...short]);
    assert.equal(await readFile(out, 'utf8'), whole.stdout);
    assert.deepEqual((await readdir(folder)).sort(), ['contexts.tsv', 'out.txt']);

    // A rank that starts when the others have just joined the parts has nothing left to do;
    // with a file of an earlier time, it is not to write over it.
    const soon = new Date(Date.now() + 60_000);
    await utimes(out, soon, soon);
    const late = await run(1);
    assert.equal(late.code, 0, late.stderr);
    await utimes(out, new Date(0), new Date(0));
    assert.match((await run(1)).stderr, /it exists already/);
    assert.equal(await readFile(out, 'utf8'), whole.stdout);

    const { code, stderr } = await generate(short, {
      input: 'hi\n',
      env: { SLURM_PROCID: '0', SLURM_STEP_NUM_TASKS: '2' },
    });
    assert.equal(code, 2);
    assert.match(stderr, /Several processes need --input FILE and --out FILE/);
  });

  it('says which context cannot be replied to', async () => {
    const { code, stderr } = await generate(short, { input: 'hi\n\nho\n' });
    assert.equal(code, 1);
    assert.match(stderr, /^dialogpt: standard input:2: there is nothing to reply to; mend/);
  });
});
