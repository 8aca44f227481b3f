import assert from 'node:assert/strict';
import { describe, it, mock } from 'node:test';
import { formatSeconds, showProgress, showSteps } from '../../src/cli/progress.js';

/** What is written to standard error, which is no terminal, while the clock stands still unless told. */
function written(work: (pass: (seconds: number) => void) => void): string[] {
  let now = 0;
  const lines: string[] = [];
  const clock = mock.method(performance, 'now', () => now);
  const terminal = process.stderr.isTTY;
  process.stderr.isTTY = false;
  const write = mock.method(process.stderr, 'write', (text: string) => lines.push(text) > 0);
  try {
    work((seconds) => {
      now += seconds * 1000;
    });
  } finally {
    write.mock.restore();
    clock.mock.restore();
    process.stderr.isTTY = terminal;
  }
  return lines;
}

describe('progress without a terminal', () => {
  it('is a line now and then with the time left', () => {
    const lines = written((pass) => {
      const progress = showProgress('count', 40, 'sheep');
      pass(5);
      progress.update(5);
      pass(5);
      progress.update(10, 'white');
      progress.say('A wolf!');
      pass(90);
      progress.update(40);
      progress.stop();
    });
    assert.deepEqual(lines, [
      'count: 10/40 sheep | white | 30s left\n',
      'A wolf!\n',
      'count: 40/40 sheep | 0s left\n',
    ]);
  });

  it('takes the pace from what has been done now where work goes on', () => {
    const lines = written((pass) => {
      const progress = showSteps('training', 1000);
      progress.say('Going on.');
      pass(3);
      progress.update(901);
      pass(20);
      progress.update(911);
    });
    assert.deepEqual(lines, ['Going on.\n', 'training: 911/1000 steps | 2m58s left\n']);
  });

  it('tells durations for people', () => {
    assert.deepEqual([5.4, 65, 3599.6, 7260].map(formatSeconds), ['5s', '1m05s', '1h00m', '2h01m']);
  });
});
