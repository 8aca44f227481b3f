import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { repository } from '../support/files.js';

async function linesOf(...path: readonly string[]): Promise<string[]> {
  const text = await readFile(join(repository, ...path), 'utf8');
  assert.ok(text.endsWith('\n'));
  return text.slice(0, -1).split('\n');
}

async function dialoguesOf(name: string): Promise<string[][]> {
  return (await linesOf('corpus', name)).map((line) => line.split(/ EOS |\t/));
}

function wordsOf(text: string): Set<string> {
  return new Set(text.toLowerCase().match(/[a-z0-9']+/g));
}

/** How many of the words of either are in both. */
function likeness(one: ReadonlySet<string>, other: ReadonlySet<string>): number {
  const common = [...one].filter((word) => other.has(word)).length;
  return common / (one.size + other.size - common);
}

describe('the corpora of our own', () => {
  for (const [name, count] of [
    ['starter.tsv', 1103],
    ['small-talk.tsv', 45414],
  ] as const) {
    it(`have dialogues of whole turns, each one once: ${name}`, async () => {
      const lines = await linesOf('corpus', name);
      assert.equal(lines.length, count);
      assert.equal(new Set(lines).size, count);
      for (const [index, line] of lines.entries()) {
        const turns = line.split(/ EOS |\t/);
        const about = `${name}, line ${index + 1}: ${line}`;
        assert.ok(turns.length >= 2, about);
        assert.ok(line.includes('\t') && /^[ -~\t]+$/.test(line), about);
        assert.ok(
          turns.every((turn) => turn !== '' && turn === turn.trim()),
          about,
        );
      }
    });
  }

  it("say none of the model card's prompts, nor what is nearly one, but for the starter", async () => {
    const prompts = (await linesOf('docs', 'model-card-prompts.txt')).map(wordsOf);
    const heard = (await dialoguesOf('small-talk.tsv')).flatMap((turns) =>
      turns.filter((_, place) => place % 2 === 0),
    );
    for (const turn of heard) {
      const words = wordsOf(turn);
      for (const prompt of prompts) {
        assert.ok(likeness(words, prompt) < 0.6, `${turn} / ${[...prompt].join(' ')}`);
      }
    }
    const asked = new Set(prompts.map((words) => [...words].join(' ')));
    for (const turn of (await dialoguesOf('starter.tsv')).flat()) {
      assert.ok(!asked.has([...wordsOf(turn)].join(' ')), turn);
    }
  });
});
