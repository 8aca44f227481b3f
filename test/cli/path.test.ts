import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { mainFile, runCommand, start } from '../support/command.js';
import { makeTinyModel, succeed, writeSmallCorpus } from '../support/tiny.js';

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dialogpt-test-'));
  await makeTinyModel(folder);
});
after(() => rm(folder, { recursive: true, force: true }));

const chat = ['chat', '--model', 'model', '--max-new-tokens', '8'];

describe('from conversations to replies', () => {
  it('shows a dataset', async () => {
    assert.match(await succeed(folder, ['data', 'inspect', 'data', '--limit', '2']), /line 1: /);
    const lines = await succeed(folder, ['data', 'inspect', 'data', '--json', '--limit', '2']);
    for (const line of lines.trimEnd().split('\n')) assert.match(line, /"input_ids":\[\d+,/);
  });

  it('stops quietly when the reader of its output has gone', async () => {
    const script = `"$0" "$1" data inspect data --json | head -c 1`;
    const words = ['-c', script, process.execPath, mainFile];
    const { stdout, stderr } = await start('sh', words, { cwd: folder }).ended;
    assert.deepEqual([stdout, stderr], ['{', '']);
  });

  it('measures perplexity', async () => {
    const words = ['eval', 'perplexity', '--model', 'model', '--data', 'data', '--json'];
    assert.match(await succeed(folder, words), /^\{.*"perplexity":\d+\.\d+.*\}\n$/);
  });

  it('replies to one line, the same again with the same seed', async () => {
    const words = [...chat, '--once', '--seed', '7'];
    const reply = await succeed(folder, words, 'Hello!\nMore\n');
    assert.equal(reply.split('\n').length, 2);
    assert.equal(await succeed(folder, words, 'Hello!\n'), reply);
  });

  it('takes commands in a pipe', async () => {
    const input = 'Hello!\n/retry\n/undo\nHello!\n/reset\nHello!\n/quit\nnever\n';
    const words = [...chat, '--greedy'];
    const { code, stdout, stderr } = await runCommand(words, { cwd: folder, input });
    assert.equal(code, 0, stderr);
    const replies = stdout.trimEnd().split('\n');
    assert.equal(replies.length, 4);
    assert.equal(new Set(replies).size, 1, 'greedy replies to one history differ');
  });

  it('demo runs through on a corpus of one’s own', async () => {
    await writeSmallCorpus(folder);
    const words = ['demo', '--steps', '5', '--corpus', 'small.tsv', '--out', 'demo'];
    const output = await succeed(folder, words);
    const talk = output.slice(output.indexOf('4. Talk'), output.indexOf('Next'));
    assert.equal(talk.trimEnd().split('\n\n').length, 3, talk);
    assert.match(output.split('\n').slice(-3).join('\n'), /npx dialogpt chat --model demo.model/);
  });
});
