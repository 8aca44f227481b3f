import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';

const MAIN = join(import.meta.dirname, '../src/cli/main.js');

const readySchema = z.object({ url: z.string() });

/** A server in a process of its own, which ends when this is disposed of. */
export interface StartedServer extends AsyncDisposable {
  readonly url: string;
}

/**
 * Starts `dialogpt serve` at a free port.
 *
 * @param flags what else it is told
 * @returns once it listens
 */
export async function startServer(flags: readonly string[]): Promise<StartedServer> {
  const quiet = ['--log-level', 'error', '--drain-timeout', '0'];
  const words = [MAIN, 'serve', '--port', '0', '--json', ...quiet, ...flags];
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] });
  // A benchmark that is ended early leaves no server behind.
  process.once('exit', () => child.kill('SIGKILL'));
  const line = await firstLine(child);
  return {
    url: readySchema.parse(JSON.parse(line)).url,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGTERM');
      if (child.exitCode === null) await once(child, 'exit');
    },
  };
}

async function firstLine({ stdout }: ChildProcess): Promise<string> {
  if (stdout === null) throw new Error('The server prints nowhere.');
  for await (const line of createInterface({ input: stdout })) return line;
  throw new Error('The server ended before it was ready.');
}
