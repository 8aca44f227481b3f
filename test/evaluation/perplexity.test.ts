import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { at, range, sum } from '../../src/base/arrays.js';
import { freshCheckpoint, saveCheckpoint } from '../../src/checkpoint/index.js';
import { Tokenizer, trainVocabulary } from '../../src/tokenizer/index.js';
import { LossModel, makeBatch, measurePerplexity } from '../../src/training/index.js';
import { toGoldenExample } from '../support/examples.js';
import { succeed } from '../support/tiny.js';
import { temporaryFolder } from '../support/files.js';
import { goldenJson, goldenModel, goldenRow } from '../support/golden.js';
import { assertClose } from '../support/numbers.js';

const goldenSchema = z.object({
  rows: z.array(goldenRow),
  plain: z.object({
    float64: z.object({ loss: z.number(), ppl: z.number(), row_ppl: z.array(z.number()) }),
  }),
});

describe('the perplexity of a model', () => {
  it("follows from PyTorch's losses as in eval_model_loss", async () => {
    const { rows, plain } = await goldenJson(goldenSchema, 'gpt2', 'gradients.json');
    const { loss, ppl, row_ppl: ofRows } = plain.float64;
    const examples = rows.map(toGoldenExample);
    const labels = examples.map((example) => makeBatch([example], false).labels.length);
    const dataset = {
      length: examples.length,
      inputLength: (index: number) => at(rows, index).input_ids.length,
      example: (index: number) => at(examples, index),
    };
    await using model = await LossModel.forEvaluation(await goldenModel('tiny'), { threads: 1 });
    for (const batchSize of [1, 2, 3, 4]) {
      const measured = await measurePerplexity(model, dataset, { batchSize });
      assertClose([measured.loss], [loss], 1e-6, 'loss');
      assertClose([measured.perplexity], [Math.exp(loss)], 1e-5, 'perplexity');
      assertClose([measured.sequencePerplexity], [ppl], 1e-5, 'perplexity of sequences');
      // The original's lines, with PyTorch's loss of each row.
      const [totalLoss, totalPerplexity, totalSamples]: number[][] = [[], [], []];
      for (let start = 0; start < rows.length; start += batchSize) {
        const batch = range(start, Math.min(rows.length, start + batchSize));
        const rowLosses = batch.map((row) => Math.log(at(ofRows, row)));
        const tokens = batch.map((row) => at(labels, row));
        const tokenLosses = rowLosses.map((rowLoss, row) => rowLoss * at(tokens, row));
        totalLoss?.push((sum(tokenLosses) / sum(tokens)) * batch.length);
        totalPerplexity?.push(Math.exp(sum(rowLosses) / batch.length) * batch.length);
        totalSamples?.push(batch.length);
      }
      const samples = sum(totalSamples ?? []);
      assertClose([measured.original.loss], [sum(totalLoss ?? []) / samples], 1e-6, 'Val loss');
      assertClose(
        [measured.original.perplexity],
        [sum(totalPerplexity ?? []) / samples],
        1e-5,
        'Val ppl',
      );
    }
  });

  it('is measured on a TSV, in batches of any size', async (context) => {
    const folder = await temporaryFolder(context);
    const tokenizer = new Tokenizer(trainVocabulary(['hello there how are you doing'], 270));
    const config = { n_positions: 64, n_embd: 32, n_layer: 1, n_head: 2 };
    await saveCheckpoint(join(folder, 'model'), freshCheckpoint(tokenizer, config, 3));
    const line = (index: number): string =>
      `hello EOS how are you\tdoing ${'there '.repeat(index)}`;
    await writeFile(
      join(folder, 'a.tsv'),
      range(0, 7)
        .map((index) => `${line(index)}\n`)
        .join(''),
    );
    const command = ['eval', 'perplexity', '--model', 'model', '--data', 'a.tsv'];
    const one = await succeed(folder, [...command, '--batch-size', '1', '--json']);
    const all = await succeed(folder, [...command, '--batch-size', '7', '--json']);
    const schema = z.object({
      loss: z.number(),
      sequencePerplexity: z.number(),
      examples: z.literal(7),
      original: z.object({ loss: z.number(), perplexity: z.number() }),
    });
    const [alone, together] = [one, all].map((text) => schema.parse(JSON.parse(text)));
    assert.ok(alone !== undefined && together !== undefined);
    assertClose([alone.loss], [together.loss], 1e-6, 'loss');
    assertClose([together.original.loss], [together.loss], 1e-9, 'Val loss of one batch');
    assertClose(
      [together.original.perplexity],
      [together.sequencePerplexity],
      1e-9,
      'Val ppl of one batch',
    );
    assert.match(
      await succeed(folder, command),
      /Val loss \d+\.\d+ Val ppl \d+\.\d+ \(batches of 16\)/,
    );
  });
});
