import assert from 'node:assert/strict';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ChatSession, completeLine } from '../../src/cli/chat-session.js';
import {
  defaultHistoryFile,
  loadLineHistory,
  saveLineHistory,
} from '../../src/cli/line-history.js';
import type { GenerationOptions, ReplyOptions } from '../../src/decoding/index.js';
import { runCommand } from '../support/command.js';
import { golden, temporaryFolder } from '../support/files.js';

const words = ['chat', '--model', golden('ranking', 'reverse'), '--threads', '1'];
const short = [...words, '--max-new-tokens', '5'];
const seeded = [...short, '--seed', '1'];
const { signal } = new AbortController();

/** A session with a model that numbers its replies; what it was asked and what was said. */
function session(greeting?: string, ranking?: 'mmi', defaults: GenerationOptions = {}) {
  const asked: { readonly history: readonly string[]; readonly options: ReplyOptions }[] = [];
  const said: string[] = [];
  const notes: string[] = [];
  const model = {
    defaults,
    reply: async function* (history: readonly string[], options: ReplyOptions = {}) {
      asked.push({ history: [...history], options });
      await Promise.resolve();
      options.onCandidates?.([{ text: 'best', scores: { final: 0.5 } }]);
      yield `reply ${asked.length}`;
    },
  };
  const chat = new ChatSession(
    model,
    { options: { seed: 3 }, greeting, ranking },
    { say: (text) => said.push(text), note: (text) => notes.push(text) },
  );
  return { chat, asked, said, notes };
}

describe('a chat', () => {
  it('keeps the conversation, with the greeting as the first turn', async () => {
    const { chat, asked } = session('Hi!');
    await chat.take('one', signal);
    await chat.take(' two ', signal);
    assert.deepEqual(asked[1]?.history, ['Hi!', 'one', 'reply 1', 'two']);
    await chat.take('/undo', signal);
    assert.deepEqual(chat.history, ['Hi!', 'one', 'reply 1']);
    await chat.take('/reset', signal);
    assert.deepEqual(chat.history, ['Hi!']);
    assert.equal(await chat.take('/quit', signal), false);
  });

  it('tries again with other random numbers', async () => {
    const { chat, asked } = session();
    await chat.take('one', signal);
    await chat.take('/retry', signal);
    assert.deepEqual(asked[1]?.history, ['one']);
    assert.notEqual(asked[1].options.seed, asked[0]?.options.seed);
    assert.deepEqual(chat.history, ['one', 'reply 2']);
  });

  it('shows candidates without saying them', async () => {
    const { chat, asked, notes } = session();
    await chat.take('one', signal);
    await chat.take('/candidates 7', signal);
    assert.equal(asked[1]?.options.numCandidates, 7);
    assert.deepEqual(notes, ['  final 0.5000  best']);
    assert.deepEqual(chat.history, ['one', 'reply 1']);
    await assert.rejects(chat.take('/candidates many', signal), /whole number/);
  });

  it('ranks candidates by what is there for it, unless told otherwise', async () => {
    const { chat, asked } = session(undefined, 'mmi');
    await chat.take('one', signal);
    for (const command of ['/candidates 7', '/candidates 1', '/set rerank none', '/candidates']) {
      await chat.take(command, signal);
    }
    const rankings = asked.map(({ options }) => options.rerank);
    assert.deepEqual(rankings, [undefined, 'mmi', undefined, 'none']);
  });

  it('changes options and persona', async () => {
    const { chat, asked, notes } = session();
    await chat.take('/set top-k 5', signal);
    await chat.take('/set temperature 0.3', signal);
    await chat.take('/set top_k default', signal);
    await chat.take('/persona I like tea.', signal);
    await chat.take('/persona I sing.', signal);
    await chat.take('one', signal);
    const { topK, temperature, persona } = asked[0]?.options ?? {};
    assert.deepEqual([topK, temperature, persona], [undefined, 0.3, ['I like tea.', 'I sing.']]);
    assert.deepEqual(notes.slice(0, 3), ['topK 5', 'temperature 0.3', 'topK is at its default.']);
    await chat.take('/persona clear', signal);
    assert.equal(notes.at(-1), 'There is no persona.');
    await assert.rejects(chat.take('/set temperature hot', signal), /temperature/);
    await assert.rejects(chat.take('/set tempo 3', signal), /tempo: there is no such option/);
    await assert.rejects(chat.take('/set tempo', signal), /no option tempo/);
  });

  it("takes options that only make sense beside the model's own", async () => {
    const beams = session(undefined, undefined, { doSample: true, numBeams: 4 });
    await beams.chat.take('/set length-penalty 0.5', signal);
    assert.deepEqual(beams.notes, ['lengthPenalty 0.5']);
    await assert.rejects(session().chat.take('/set length-penalty 0.5', signal), /beam search/);
  });

  it('saves the conversation as chat JSONL, and overwrites nothing', async (context) => {
    const { chat } = session('Hi!');
    const file = join(await temporaryFolder(context), 'saved.jsonl');
    await chat.take('/persona I like tea.', signal);
    await chat.take('one', signal);
    await chat.take(`/save ${file}`, signal);
    assert.deepEqual(JSON.parse(await readFile(file, 'utf8')), {
      messages: [
        { role: 'system', content: 'I like tea.' },
        { role: 'assistant', content: 'Hi!' },
        { role: 'user', content: 'one' },
        { role: 'assistant', content: 'reply 1' },
      ],
    });
    await assert.rejects(chat.take(`/save ${file}`, signal), /it exists already/);
    const tooLong = chat.take(`/save ${'x'.repeat(300)}`, signal);
    await assert.rejects(tooLong, { name: 'UserError', message: /the name is too long/ });
    await assert.rejects(chat.take('/save a\0b', signal), { name: 'UserError' });
  });

  it('names a command that there is not, and says what cannot be done yet', async () => {
    const { chat } = session();
    await assert.rejects(chat.take('/rest now', signal), {
      name: 'UserError',
      message: 'There is no command /rest; /help lists them.',
    });
    for (const command of ['/undo', '/retry', '/candidates', '/save']) {
      await assert.rejects(chat.take(command, signal), /There is nothing/);
    }
  });

  it('completes commands and options', () => {
    assert.deepEqual(completeLine('/re'), [['/reset', '/retry'], '/re']);
    assert.deepEqual(completeLine('/set temp'), [['temperature '], 'temp']);
    assert.deepEqual(completeLine('hello'), [[], 'hello']);
  });

  it('keeps typed lines for the next time', async (context) => {
    const folder = await temporaryFolder(context);
    const file = defaultHistoryFile({ XDG_STATE_HOME: folder });
    assert.deepEqual(await loadLineHistory(file), []);
    await saveLineHistory(file, ['latest', 'earlier']);
    assert.equal(await readFile(file, 'utf8'), 'earlier\nlatest\n');
    assert.deepEqual(await loadLineHistory(file), ['latest', 'earlier']);
  });
});

describe('dialogpt chat', () => {
  it('answers the lines of a pipe, and one with --once', async () => {
    const all = await runCommand(seeded, { input: 'hello\n\nthere\n' });
    assert.equal(all.code, 0, all.stderr);
    assert.equal(all.stdout.trimEnd().split('\n').length, 2);
    const once = await runCommand([...seeded, '--once'], { input: '\nhello\nno\n' });
    assert.equal(once.stdout, `${all.stdout.split('\n')[0] ?? ''}\n`);
  });

  it('does commands before the message of --once', async () => {
    const input = '/set seed 1\nhello\nno\n';
    const once = await runCommand([...short, '--once'], { input });
    const plain = await runCommand([...seeded, '--once'], { input: 'hello\n' });
    assert.equal(once.code, 0, once.stderr);
    assert.match(once.stdout, /\S/);
    assert.equal(once.stdout, plain.stdout);
  });

  it('shows the scores of a model that names its reverse model', async (context) => {
    const folder = join(await temporaryFolder(context), 'model');
    await cp(golden('ranking', 'reverse'), folder, { recursive: true });
    const own = { reverse_model: golden('ranking', 'reverse') };
    await writeFile(join(folder, 'generation_config.json'), JSON.stringify(own));
    const flags = ['chat', '--model', folder, '--threads', '1', '--max-new-tokens', '5'];
    const { code, stderr } = await runCommand(flags, { input: 'hello\n/candidates 3\n' });
    assert.equal(code, 0, stderr);
    assert.equal(stderr.match(/^ {2}(?:\w+ -?\d+\.\d+ {2})+/gm)?.length, 3, stderr);
  });

  it('reads commands from a pipe, and ends at one that there is not', async () => {
    const input = 'hello\n/candidates 3\n/set top-k 9\n/help\n/nothing\nmore\n';
    const { code, stdout, stderr } = await runCommand(seeded, { input });
    assert.equal(code, 1);
    assert.equal(stdout.trimEnd().split('\n').length, 1);
    assert.equal(stderr.match(/^ {2}\S/gm)?.length, 3 + 9, stderr);
    assert.match(stderr, /topK 9/);
    assert.match(stderr, /dialogpt: There is no command \/nothing; \/help lists them\.\n$/);
  });

  it('talks to itself from the greeting on', async () => {
    const flags = ['--self', '3', '--greeting', 'Good day.', '--seed', '2'];
    const { code, stdout } = await runCommand([...short, ...flags]);
    assert.equal(code, 0);
    assert.deepEqual(stdout.match(/^[AB]: /gm), ['A: ', 'B: ', 'A: ', 'B: ']);
    assert.match(stdout, /^A: Good day\.\n/);
  });

  it('shows candidates by an ensemble, and what the block list does', async (context) => {
    const ensemble = golden('ranking', 'ensemble.yml');
    const ranked = ['--num-candidates', '4', '--rerank', 'ranker', '--ranker', ensemble];
    const shown = await runCommand([...seeded, ...ranked, '--show-candidates', '--once'], {
      input: 'hello\n',
    });
    assert.equal(shown.code, 0, shown.stderr);
    assert.match(shown.stderr, /^ {2}rand 0\.\d+ {2}machine 0\.\d+ {2}updown .* final -?\d+\.\d+/m);

    const list = join(await temporaryFolder(context), 'list.txt');
    const greedy = [...short, '--greedy', '--once'];
    const { stdout } = await runCommand([...greedy, '--no-safety'], { input: 'hello\n' });
    await writeFile(list, stdout);
    const blocked = await runCommand([...greedy, '--block-list', list], { input: 'hello\n' });
    if (/[\p{L}\p{N}]/u.test(stdout)) {
      assert.match(blocked.stderr, /withheld/);
      assert.notEqual(blocked.stdout, stdout);
    }
    await writeFile(list, '\n  \n');
    const empty = await runCommand([...greedy, '--block-list', list], { input: 'hello\n' });
    assert.equal(empty.code, 1);
    assert.match(empty.stderr, /list\.txt: the list is empty/);
  });
});
