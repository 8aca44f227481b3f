import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where a file goes that is a person's own: the folder of each system for programs' data. */
export function dataFile(name: string): string {
  const { XDG_DATA_HOME, LOCALAPPDATA } = process.env;
  const data = XDG_DATA_HOME ?? LOCALAPPDATA ?? join(homedir(), '.local', 'share');
  return join(data, 'dialogpt', name);
}
