#!/usr/bin/env node
import { endAtInterrupt } from './interrupt.js';
import { runCommandLine } from './program.js';

endAtInterrupt();
process.exitCode = await runCommandLine(process.argv.slice(2));
