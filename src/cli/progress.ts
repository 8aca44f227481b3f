import { Presets, SingleBar } from 'cli-progress';
import { output } from './colors.js';

/** Seconds between two lines where standard error is not a terminal. */
const LINE_SECONDS = 10;

/** Something long under way, shown on standard error. */
export interface Progress {
  /** @param done how far it is; @param detail what else to say, such as the loss */
  update(done: number, detail?: string): void;
  /** Prints a line above the bar. */
  say(line: string): void;
  /** Ends the display. */
  stop(): void;
}

/**
 * Shows progress with rate and time left: a bar in a terminal, else a line now and then.
 *
 * @param total the amount of work, in `unit`
 * @param from how much of it was done before now, which says nothing of the pace
 */
export function showProgress(title: string, total: number, unit: string, from = 0): Progress {
  return process.stderr.isTTY ? bar(title, total, unit, from) : lines(title, total, unit, from);
}

/** Shows progress in steps. The first may be far from the first of all, where a run goes on. */
export function showSteps(title: string, total: number): Progress {
  let shown: Progress | undefined;
  const silent = onlyLines();
  return {
    update: (step, detail) => {
      shown ??= showProgress(title, total, 'steps', step);
      shown.update(step, detail);
    },
    say: (line) => {
      (shown ?? silent).say(line);
    },
    stop: () => shown?.stop(),
  };
}

/** Progress that is not shown, but for what it says. */
export function onlyLines(): Progress {
  return {
    update: () => undefined,
    say: (line) => {
      process.stderr.write(`${line}\n`);
    },
    stop: () => undefined,
  };
}

function bar(title: string, total: number, unit: string, from: number): Progress {
  const single = new SingleBar(
    {
      format: `${title} {bar} {value}/{total} ${unit} | {detail}{left} left`,
      stream: process.stderr,
      hideCursor: true,
      barsize: 24,
      // The bar must not take Ctrl-C away from those who save work on it.
      gracefulExit: false,
    },
    Presets.shades_classic,
  );
  const started = performance.now();
  const leftAt = (done: number) => timeLeft(started, done - from, total - from);
  single.start(total, from, { detail: '', left: leftAt(from) });
  return {
    update: (done, detail = '') => {
      single.update(done, { detail: detail === '' ? '' : `${detail} | `, left: leftAt(done) });
    },
    say: (line) => {
      process.stderr.write(`\r\u001b[K${line}\n`);
    },
    stop: () => {
      single.stop();
    },
  };
}

function lines(title: string, total: number, unit: string, from: number): Progress {
  const started = performance.now();
  let last = started;
  return {
    ...onlyLines(),
    update: (done, detail = '') => {
      const now = performance.now();
      if (now - last < LINE_SECONDS * 1000 && done < total) return;
      last = now;
      const left = `${timeLeft(started, done - from, total - from)} left`;
      const facts = [`${done}/${total} ${unit}`, ...(detail === '' ? [] : [detail]), left];
      process.stderr.write(`${title}: ${facts.join(' | ')}\n`);
    },
  };
}

function timeLeft(started: number, done: number, total: number): string {
  if (done <= 0) return '?';
  const seconds = ((performance.now() - started) / 1000 / done) * (total - done);
  return formatSeconds(seconds);
}

/** A duration for people: `42s`, `3m05s`, `2h10m`. */
export function formatSeconds(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole}s`;
  const two = (number: number) => String(number).padStart(2, '0');
  if (whole < 3600) return `${Math.floor(whole / 60)}m${two(whole % 60)}s`;
  return `${Math.floor(whole / 3600)}h${two(Math.floor((whole % 3600) / 60))}m`;
}

/** A headline of a command that does several things. */
export function heading(text: string): void {
  process.stdout.write(`\n${output.bold(text)}\n`);
}
