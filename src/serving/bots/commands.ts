import { UserError } from '../../base/errors.js';
import {
  checkOptions,
  type GenerationOptions,
  generationOptions,
  optionsFit,
  withDefaults,
} from '../../decoding/index.js';
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

/** How a bot speaks where a chat does not say. */
export interface Manner {
  /** What it says at `/start`. */
  readonly greeting: string;
  readonly generation: GenerationOptions;
  /** How its model replies by itself. */
  readonly defaults: GenerationOptions;
}

/**
 * How replies of a chat are generated: as the bot's own options say, with what was set in the chat, unless the two
 * contradict each other, as they may when the bot is started with other options than before.
 */
export function optionsOf(chat: Chat, { generation, defaults }: Manner): GenerationOptions {
  const options = { ...generation, ...chat.options };
  return optionsFit(options, defaults) ? options : generation;
}

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
export function runCommand(name: string, rest: string, chat: Chat, manner: Manner): Outcome {
  switch (name) {
    case 'start':
      return { type: 'say', text: manner.greeting };
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
      return set(rest, chat, manner);
    case 'settings':
      return { type: 'say', text: settingsText(chat, manner) };
    default:
      return { type: 'say', text: `I do not know /${name}; /help lists what I know.` };
  }
}

function set(rest: string, chat: Chat, { generation, defaults }: Manner): Outcome {
  const [name = '', value = ''] = rest.split(/[\s=]+/);
  const option = Object.entries(SETTINGS).find(([known]) => known === name)?.[1];
  const number = Number(value);
  if (option === undefined || value === '' || Number.isNaN(number)) {
    const names = Object.keys(SETTINGS).join(', ');
    return { type: 'say', text: `Say /set and a name and a number; the names are ${names}.` };
  }
  const options = { ...chat.options, [option]: number };
  try {
    checkOptions({ ...generation, ...options }, defaults);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { type: 'say', text: error.message };
  }
  return { type: 'say', text: `${name} is ${number} now.`, chat: { ...chat, options } };
}

function settingsText(chat: Chat, manner: Manner): string {
  const complete = generationOptions(withDefaults(manner.defaults, optionsOf(chat, manner)));
  const lines = Object.entries(SETTINGS).map(
    ([name, option]) => `${name}: ${complete[option] ?? 'as long as there is room for'}`,
  );
  return [...lines, ...chat.persona].join('\n');
}
