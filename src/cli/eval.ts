import { Command, type CommandUnknownOpts } from '@commander-js/extra-typings';
import { evalHumanCommand } from './eval-human.js';
import { evalJudgeCommand } from './eval-judge.js';
import { evalPerplexityCommand } from './eval-perplexity.js';
import { evalScoreCommand } from './eval-score.js';

const EXAMPLES = `
Examples:
  dialogpt eval responses.txt --refs ref0.txt ref1.txt --meteor-data meteor-1.5
  dialogpt eval greedy.txt beam.txt --refs ref0.txt --significance --report report.html
  dialogpt eval systems/ --refs test.refs.txt --keys keys.2k.txt --line-keys test_real.keys.txt --clean`;

/** `dialogpt eval …`: how good responses and models are. */
export function evalCommand(): CommandUnknownOpts {
  // Scoring is a command of its own, so that its options and those of its siblings stay apart.
  const score = evalScoreCommand();
  return new Command('eval')
    .description('measure how good responses and models are')
    .usage('[command] <responses...> --refs <files...>')
    .addCommand(score, { isDefault: true })
    .addCommand(evalHumanCommand())
    .addCommand(evalJudgeCommand())
    .addCommand(evalPerplexityCommand())
    .addHelpText('after', () => `\n${score.helpInformation()}${EXAMPLES}`);
}
