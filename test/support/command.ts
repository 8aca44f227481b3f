import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { repository } from './files.js';

/** The compiled command line. */
export const mainFile = join(repository, 'dist', 'src', 'cli', 'main.js');

/** How a program is run. */
export interface RunOptions {
  /** What it reads from standard input; nothing by default. */
  readonly input?: string;
  readonly cwd?: string;
  /** Variables added to the environment; undefined takes one away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Seconds after which it is killed; 60. */
  readonly timeout?: number;
}

/** How a program ended. */
export interface RunResult {
  /** The exit code; null if a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program under way. */
export interface Running {
  readonly process: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly ended: Promise<RunResult>;
}

/** Starts a program. */
export function start(
  program: string,
  argumentsGiven: readonly string[],
  { input = '', cwd, env = {}, timeout = 60 }: RunOptions = {},
): Running {
  const child = spawn(program, argumentsGiven, {
    env: { ...process.env, NO_COLOR: '1', ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: timeout * 1000,
    killSignal: 'SIGKILL',
    ...(cwd === undefined ? {} : { cwd }),
  });
  // A program that ends without reading its input is no failure of the test.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  return { process: child, ended: finish(child) };
}

async function finish(child: Running['process']): Promise<RunResult> {
  const closed = once(child, 'close');
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  await closed;
  return { code: child.exitCode, signal: child.signalCode, stdout, stderr };
}

/** Starts `dialogpt`. */
export function startCommand(argumentsGiven: readonly string[], options?: RunOptions): Running {
  return start(process.execPath, [mainFile, ...argumentsGiven], options);
}

/** Runs `dialogpt` to its end. */
export async function runCommand(
  argumentsGiven: readonly string[],
  options?: RunOptions,
): Promise<RunResult> {
  return startCommand(argumentsGiven, options).ended;
}
