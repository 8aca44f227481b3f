import { UserError } from '../../base/errors.js';
import { generationOptions } from '../../decoding/index.js';
import type { Chat } from './memory.js';

/** What can be set in a chat, with the library's names. */
const SETTINGS = {
  temperature: 'temperature',
  top_k: 'topK',
  top_p: 'topP',
  repetition_penalty: 'repetitionPenalty',
  max_new_tokens: 'maxNewTokens',
} as const;

/** The commands with what they do, as the services list them. */
export const COMMANDS: Readonly<Record<string, string>> = {
  start: 'say hello',
  help: 'list the commands',
  reset: 'forget what was said here',
  undo: 'forget the last exchange',
  retry: 'answer the last message anew',
  persona: 'tell me who I am: /persona I like tea. I have two cats.',
  set: 'change how I answer: /set temperature 0.7',
  settings: 'show how I answer',
};

/** What comes of a command. */
export type Outcome =
  | { readonly type: 'say'; readonly text: string; readonly chat?: Chat }
  | { readonly type: 'reply'; readonly text: string; readonly chat: Chat };

/** A command and what follows it, or undefined if the text is none. */
export function parseCommand(text: string): { name: string; rest: string } | undefined {
  const [, name, rest] = /^\/([a-z]\w*)(?:@\w+)?(?:\s+([\s\S]*))?$/i.exec(text.trim()) ?? [];
  return name === undefined ? undefined : { name: name.toLowerCase(), rest: (rest ?? '').trim() };
}

/** Does what a command asks for. */
export function runCommand(name: string, rest: string, chat: Chat, greeting: string): Outcome {
  switch (name) {
    case 'start':
      return { type: 'say', text: greeting };
    case 'help':
      return {
        type: 'say',
        text: Object.entries(COMMANDS)
          .map(([command, does]) => `/${command} – ${does}`)
          .join('\n'),
      };
    case 'reset':
      return { type: 'say', text: 'Let us start anew.', chat: { ...chat, turns: [] } };
    case 'undo':
      return chat.turns.length === 0
        ? { type: 'say', text: 'There is nothing to undo.' }
        : {
            type: 'say',
            text: 'I have forgotten that.',
            chat: { ...chat, turns: chat.turns.slice(0, -2) },
          };
    case 'retry': {
      const text = chat.turns.at(-2);
      return text === undefined
        ? { type: 'say', text: 'There is nothing to answer anew.' }
        : { type: 'reply', text, chat: { ...chat, turns: chat.turns.slice(0, -2) } };
    }
    case 'persona': {
      const persona = rest.match(/[^.!?\n]+[.!?]*/g)?.map((line) => line.trim()) ?? [];
      const lines = persona.filter((line) => line !== '');
      return {
        type: 'say',
        text: lines.length === 0 ? 'I am nobody in particular now.' : 'That is who I am now.',
        chat: { ...chat, persona: lines },
      };
    }
    case 'set':
      return set(rest, chat);
    case 'settings':
      return { type: 'say', text: settingsText(chat) };
    default:
      return { type: 'say', text: `I do not know /${name}; /help lists what I know.` };
  }
}

function set(rest: string, chat: Chat): Outcome {
  const [name = '', value = ''] = rest.split(/[\s=]+/);
  const option = Object.entries(SETTINGS).find(([known]) => known === name)?.[1];
  const number = Number(value);
  if (option === undefined || value === '' || Number.isNaN(number)) {
    const names = Object.keys(SETTINGS).join(', ');
    return { type: 'say', text: `Say /set and a name and a number; the names are ${names}.` };
  }
  const options = { ...chat.options, [option]: number };
  try {
    generationOptions(options);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { type: 'say', text: error.message };
  }
  return { type: 'say', text: `${name} is ${number} now.`, chat: { ...chat, options } };
}

function settingsText({ options, persona }: Chat): string {
  const complete = generationOptions(options);
  const lines = Object.entries(SETTINGS).map(
    ([name, option]) => `${name}: ${complete[option] ?? 'as long as there is room for'}`,
  );
  return [...lines, ...persona].join('\n');
}
