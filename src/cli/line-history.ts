import { homedir } from 'node:os';
import { join } from 'node:path';
import { exists, readText, writeFileWhole } from '../base/files.js';

/** How many lines are kept. */
const LONGEST = 500;

/** Where the lines that a person typed are kept, unless told: the XDG folder for state. */
export function defaultHistoryFile(environment: NodeJS.ProcessEnv = process.env): string {
  const state = environment.XDG_STATE_HOME;
  const folder = state === undefined || state === '' ? join(homedir(), '.local', 'state') : state;
  return join(folder, 'dialogpt', 'chat-history');
}

/** The lines of earlier sessions as readline wants them, the latest first. */
export async function loadLineHistory(path: string): Promise<string[]> {
  if (!(await exists(path))) return [];
  const lines = (await readText(path)).split('\n').filter((line) => line !== '');
  return lines.reverse().slice(0, LONGEST);
}

/** Keeps lines for the next session. */
export async function saveLineHistory(path: string, lines: readonly string[]): Promise<void> {
  const kept = lines.slice(0, LONGEST).toReversed();
  await writeFileWhole(path, kept.map((line) => `${line}\n`).join(''));
}
