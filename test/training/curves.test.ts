import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { at, range } from '../../src/base/arrays.js';
import { UserError } from '../../src/base/errors.js';
import { RunRows } from '../../src/training/curves.js';
import { drawCurves, readRuns, svgToPng } from '../../src/training/index.js';
import { temporaryFolder } from '../support/files.js';

const HEAD = 'epoch,global_step,loss,learning_rate,gradient_norm,tokens,seconds';

/** Writes the logs of a run of `steps` steps, each of 10 tokens in half a second. */
async function writeRun(folder: string, steps: number, first = 3): Promise<void> {
  await mkdir(folder, { recursive: true });
  const rows = range(1, steps + 1).map((step) =>
    [1, step, first / step, `${step}e-5`, 0.5, 10 * step, step / 2].join(),
  );
  await writeFile(join(folder, 'step_log.txt'), [HEAD, ...rows, ''].join('\n'));
  const evaluations =
    'epoch,global_step,step,eval_loss,eval_ppl\n1,2,2,3.5,33\n1,4,4,3,Infinity\n1,6,6,2,7.5\n';
  await writeFile(join(folder, 'eval_log.txt'), evaluations);
}

describe('readRuns', () => {
  it('reads our logs, without a last line that is cut short', async (context) => {
    const folder = await temporaryFolder(context);
    await writeRun(folder, 4);
    await writeFile(join(folder, 'step_log.txt'), '1,5,9', { flag: 'a' });
    const [run] = await readRuns([folder]);
    assert.deepEqual(run?.curves, {
      loss: [3, 1.5, 1, 0.75].map((value, index) => ({ step: index + 1, value })),
      perplexity: [
        { step: 2, value: 33 },
        { step: 6, value: 7.5 },
      ],
      learningRate: [1e-5, 2e-5, 3e-5, 4e-5].map((value, index) => ({ step: index + 1, value })),
      speed: range(1, 5).map((step) => ({ step, value: 20 })),
      gradientNorm: range(1, 5).map((step) => ({ step, value: 0.5 })),
    });
    const early = (await RunRows.read(folder, 'early', 2)).curves;
    assert.deepEqual([early.curves.loss.length, early.curves.perplexity.length], [2, 1]);
  });

  it("reads the original's logs, whose tokens and seconds start anew in each epoch", async (context) => {
    const folder = await temporaryFolder(context);
    const head = 'epoch,global_step,step,mean_loss,mean_ppl,n_token_real,n_token_total,epoch_time';
    const rows = ['1,1,1,5,148,100,120,2', '1,2,2,4,60,300,340,4', '2,3,3,3,20,50,60,1'];
    await writeFile(join(folder, 'train_log.txt'), [head, ...rows, ''].join('\n'));
    const run = at(await readRuns([folder]), 0);
    assert.deepEqual(
      run.curves.speed.map(({ value }) => value),
      [50, 100, 50],
    );
    assert.deepEqual(
      run.curves.loss.map(({ value }) => value),
      [5, 4, 3],
    );
    assert.deepEqual([run.curves.learningRate, run.curves.gradientNorm], [[], []]);
  });

  it('sums a long run up to few points, whose mean is that of all', async (context) => {
    const folder = await temporaryFolder(context);
    await writeRun(folder, 4000);
    const [run] = await readRuns([folder]);
    const loss = run?.curves.loss ?? [];
    assert.equal(loss.length, 400);
    assert.equal(loss.at(-1)?.step, 4000);
    const mean = loss.reduce((total, { value }) => total + value, 0) / 400;
    const expected = range(1, 4001).reduce((total, step) => total + 3 / step, 0) / 4000;
    assert.ok(Math.abs(mean - expected) < 1e-12);
  });

  it('says what is missing or is no number, and where', async (context) => {
    const folder = await temporaryFolder(context);
    await assert.rejects(readRuns([folder]), UserError);
    await writeRun(folder, 2);
    await writeFile(join(folder, 'step_log.txt'), `${HEAD}\n1,1,2,3,4,5,6\n1,2,x,3,4,5,6\n`);
    await assert.rejects(readRuns([folder]), /step_log\.txt, line 3: .* column loss/);
  });
});

describe('drawCurves', () => {
  it('draws the same bytes each time, a panel for what there is and a line for each run', async (context) => {
    const folder = await temporaryFolder(context);
    await writeRun(join(folder, 'first'), 50);
    await writeRun(join(folder, 'second & third'), 30, 6);
    const runs = await readRuns([join(folder, 'first'), join(folder, 'second & third')]);
    const svg = await drawCurves(runs);
    assert.equal(await drawCurves(runs), svg);
    assert.notEqual(await drawCurves(runs.slice(0, 1)), svg);
    for (const text of ['Training loss', 'Held-out perplexity', 'Norm of', 'second &amp; third']) {
      assert.ok(svg.includes(text), text);
    }
    const png = await svgToPng(svg);
    assert.deepEqual(await svgToPng(svg), png);
    assert.equal(Buffer.from(png.subarray(1, 4)).toString(), 'PNG');
    // Letters are drawn: without them the file is another.
    assert.notDeepEqual(await svgToPng(svg.replaceAll('Training loss', '')), png);
  });
});
