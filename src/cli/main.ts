#!/usr/bin/env node
import { explainFileError } from '../base/errors.js';
import { endAtInterrupt } from './interrupt.js';
import { report, runCommandLine } from './program.js';

endAtInterrupt();
process.stdout.on('error', (error) => {
  process.exit(report(explainFileError(error, 'standard output')));
});
process.exitCode = await runCommandLine(process.argv.slice(2));
