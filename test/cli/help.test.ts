import assert from 'node:assert/strict';
import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import { describe, it } from 'node:test';
import { createProgram } from '../../src/cli/program.js';
import { runCommand } from '../support/command.js';

/** A command and all below it, each with the words that call it. */
function walk(command: CommandUnknownOpts, words: readonly string[]): [string[], boolean][] {
  const below = command.commands.flatMap((child) => walk(child, [...words, child.name()]));
  return [[[...words], command.commands.length === 0], ...below];
}

describe('dialogpt --help', () => {
  for (const [words, isLeaf] of walk(createProgram(), [])) {
    it(`explains ${['dialogpt', ...words].join(' ')}`, async () => {
      const { code, stdout, stderr } = await runCommand([...words, '--help']);
      assert.equal(code, 0);
      assert.equal(stderr, '');
      assert.match(stdout, new RegExp(`^Usage: dialogpt ${words.join(' ')}`));
      if (isLeaf) assert.match(stdout, new RegExp(`Examples?:\n.*dialogpt ${words.join(' ')}\\b`));
    });
  }

  it('prints the version', async () => {
    const { code, stdout } = await runCommand(['--version']);
    assert.equal(code, 0);
    assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
  });
});

describe('a command line that is not understood', () => {
  const cases: readonly (readonly [string, readonly string[], RegExp])[] = [
    ['an unknown command', ['trian'], /unknown command 'trian'.*train/s],
    ['an unknown subcommand', ['data', 'biuld'], /unknown command 'biuld'.*build/s],
    ['an unknown flag', ['chat', '--model', 'm', '--tempreature', '1'], /--temperature/],
    ['a flag that is missing', ['chat'], /--model/],
    ['a number that is none', ['demo', '--steps', 'many'], /--steps.*whole number/],
    ['a number out of range', ['chat', '--model', 'm', '--top-p', '3'], /--top-p.*up to 1/],
    ['a choice that is none', ['data', 'inspect', 'd', '--split', 'test'], /train, validation/],
    ['--greedy with --seed', ['chat', '--model', 'm', '--greedy', '--seed', '1'], /--seed/],
    [
      '--model with --size',
      ['train', '--data', '.', '--out', 'o', '--model', 'm', '--size', 'small'],
      /leave out the flags of a fresh one/,
    ],
  ];
  for (const [what, words, message] of cases) {
    it(`${what} ends with 2 and says so`, async () => {
      const { code, stdout, stderr } = await runCommand(words);
      assert.equal(code, 2);
      assert.match(stderr, message);
      assert.equal(stdout, '');
      assert.doesNotMatch(stderr, /\n {4}at /);
    });
  }
});
