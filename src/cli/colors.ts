import { isatty } from 'node:tty';
import pc from 'picocolors';

/** Colours for standard output, where a person reads it; in a pipe or a log, none. */
export const output = pc.createColors(pc.isColorSupported && isatty(1));

/** Colours for standard error, likewise. */
export const errors = pc.createColors(pc.isColorSupported && isatty(2));
