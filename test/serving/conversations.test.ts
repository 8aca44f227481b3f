import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { exported } from '../../src/serving/conversations/export.js';
import { branchTo, ConversationStore } from '../../src/serving/conversations/store.js';
import { repository, temporaryFolder } from '../support/files.js';

describe('kept conversations', () => {
  it('are found again with all their branches after the file is opened anew', async (context) => {
    const file = join(await temporaryFolder(context), 'deep', 'conversations.sqlite');
    const store = await ConversationStore.open(file);
    const { id } = store.create({ title: 'Cats', persona: ['I have two cats.'] });
    const first = store.add(id, { parent: null, role: 'user', content: 'Hello!' });
    const reply = store.add(id, {
      parent: first.id,
      role: 'assistant',
      content: 'Meow.',
      candidates: [{ text: 'Meow.', scores: { final: -1.5 } }],
      interventions: [{ action: 'withheld', message: 'A reply was withheld.' }],
    });
    const other = store.add(id, { parent: first.id, role: 'assistant', content: 'Purr.' });
    store.close();

    const again = await ConversationStore.open(file);
    assert.deepEqual(again.messages(id), [first, reply, other]);
    assert.deepEqual(again.conversation(id)?.persona, ['I have two cats.']);
    assert.equal(again.conversation(id)?.head, other.id);
    assert.deepEqual(branchTo(again.messages(id), reply.id), [first, reply]);
    assert.equal(again.conversation('none'), undefined);
    assert.equal(again.change('none', { title: 'x' }), undefined);
    again.close();
  });

  it('are listed with the latest first, and found by words of turns and titles', async (context) => {
    const store = await ConversationStore.open(join(await temporaryFolder(context), 'c.sqlite'));
    const cats = store.create({ title: 'About cats' });
    const cafe = store.create({ title: 'Old title' });
    store.add(cafe.id, { parent: null, role: 'user', content: 'The Café was "AND" crowded' });
    // Dates have milliseconds.
    await setTimeout(5);
    store.add(cats.id, { parent: null, role: 'user', content: 'They sleep all day.' });
    const titles = (query: string) => store.list(query).map(({ title }) => title);

    assert.deepEqual(titles(''), ['About cats', 'Old title']);
    assert.deepEqual(titles('cafe crowd'), ['Old title']);
    assert.deepEqual(titles('CAT'), ['About cats']);
    assert.deepEqual(titles('sleep crowded'), []);
    // What would be operators or faults in SQLite's query language are words or nothing here.
    assert.deepEqual(titles('AND'), ['Old title']);
    assert.deepEqual(titles('"*('), []);
    store.change(cafe.id, { title: 'New name' });
    assert.deepEqual(titles('old'), []);
    assert.deepEqual(titles('new'), ['New name']);
    assert.equal(store.remove(cats.id), true);
    assert.equal(store.remove(cats.id), false);
    assert.deepEqual(titles('sleep'), []);
    assert.deepEqual(store.messages(cats.id), []);
    store.close();
  });

  it('survive the death of the process that keeps them', async (context) => {
    const file = join(await temporaryFolder(context), 'c.sqlite');
    const module = join(repository, 'dist/src/serving/conversations/store.js');
    const program = `
      const { ConversationStore } = await import(${JSON.stringify(module)});
      const store = await ConversationStore.open(${JSON.stringify(file)});
      const { id } = store.create({ title: 'Long' });
      for (let parent = null, turn = 0; ; turn++) {
        parent = store.add(id, { parent, role: 'user', content: 'turn ' + turn }).id;
        console.log(id, turn);
        await new Promise(setImmediate);
      }`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program]);
    let last = '';
    for await (const line of createInterface({ input: child.stdout })) {
      last = line;
      if (line.endsWith(' 20')) child.kill('SIGKILL');
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    const [id = '', turn] = last.split(' ');
    const store = await ConversationStore.open(file);
    const messages = store.messages(id);
    assert.ok(messages.length > Number(turn), `${messages.length} of ${last}`);
    assert.equal(branchTo(messages, store.conversation(id)?.head ?? null).length, messages.length);
    store.close();
  });

  it('are not looked for in a file of another kind', async (context) => {
    const file = join(await temporaryFolder(context), 'notes.txt');
    await writeFile(file, 'not a database, but long enough to be looked at closely'.repeat(40));
    await assert.rejects(ConversationStore.open(file), (error: Error) => {
      assert.equal(error.name, 'UserError');
      assert.ok(error.message.startsWith(`${file}: cannot be used for conversations: `));
      return true;
    });
  });

  it('leave as text, as chat JSONL and whole', async (context) => {
    const store = await ConversationStore.open(join(await temporaryFolder(context), 'c.sqlite'));
    const { id } = store.create({ title: 'Tea', persona: ['I like tea.'] });
    const first = store.add(id, { parent: null, role: 'user', content: 'Tea?' });
    store.add(id, { parent: first.id, role: 'assistant', content: 'No.' });
    store.add(id, { parent: first.id, role: 'assistant', content: 'Yes!' });
    const conversation = store.conversation(id);
    assert.ok(conversation !== undefined);
    const messages = store.messages(id);
    assert.equal(
      exported(conversation, messages, 'text').text,
      'Tea\n\nYou: Tea?\n\ndialogpt: Yes!\n',
    );
    assert.deepEqual(JSON.parse(exported(conversation, messages, 'jsonl').text), {
      messages: [
        { role: 'system', content: 'I like tea.' },
        { role: 'user', content: 'Tea?' },
        { role: 'assistant', content: 'Yes!' },
      ],
    });
    assert.deepEqual(JSON.parse(exported(conversation, messages, 'json').text), {
      conversation,
      messages,
    });
    store.close();
  });
});
