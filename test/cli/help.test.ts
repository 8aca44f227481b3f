import assert from 'node:assert/strict';
import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import { describe, it } from 'node:test';
import { createProgram } from '../../src/cli/program.js';
import { runCommand } from '../support/command.js';

/** A command and all below it, each with the words that call it. */
function walk(
  command: CommandUnknownOpts,
  words: readonly string[],
): readonly { readonly command: CommandUnknownOpts; readonly words: string }[] {
  const below = command.commands.flatMap((child) => walk(child, [...words, child.name()]));
  return [{ command, words: words.join(' ') }, ...below];
}

/** What `--help` of a command prints. */
function helpOf(command: CommandUnknownOpts): string {
  let help = '';
  command.configureOutput({ writeOut: (text) => void (help += text) });
  command.outputHelp();
  return help;
}

const all = walk(await createProgram(), ['dialogpt']);

describe('dialogpt --help', () => {
  for (const { command, words } of all) {
    it(`explains ${words}`, () => {
      const help = helpOf(command);
      assert.ok(help.startsWith(`Usage: ${words}`), help);
      if (command.commands.length === 0) {
        assert.match(help, new RegExp(`Examples?:\\n.*${words}\\b`));
      }
    });
  }

  it('goes to standard output', async () => {
    const { code, stdout, stderr } = await runCommand(['data', 'build', '--help']);
    assert.equal(code, 0);
    assert.equal(stderr, '');
    assert.match(stdout, /^Usage: dialogpt data build/);
  });

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
    ['a flag that is missing', ['eval', 'perplexity'], /--model/],
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
