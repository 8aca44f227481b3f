import { Command, type CommandUnknownOpts } from '@commander-js/extra-typings';
import { evalPerplexityCommand } from './eval-perplexity.js';

/** `dialogpt eval …`: how good responses and models are. */
export function evalCommand(): CommandUnknownOpts {
  return new Command('eval')
    .description('measure how good responses and models are')
    .addCommand(evalPerplexityCommand());
}
