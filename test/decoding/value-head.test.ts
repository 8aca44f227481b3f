import assert from 'node:assert/strict';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { at, range } from '../../src/base/arrays.js';
import type { JudgedResponse } from '../../src/base/judged-responses.js';
import {
  type Checkpoint,
  convertModel,
  loadCheckpoint,
  loadParameters,
  loadValueHead,
  resolveModel,
  saveValueHead,
} from '../../src/checkpoint/index.js';
import { Scorer } from '../../src/decoding/index.js';
import { fitLogisticRegression } from '../../src/decoding/logistic-regression.js';
import { loadModel } from '../../src/decoding/model.js';
import { trainValueHead } from '../../src/decoding/train-value-head.js';
import { ReplyReader, valueReranker } from '../../src/decoding/value-reranker.js';
import { golden, temporaryFolder } from '../support/files.js';
import { assertClose } from '../support/numbers.js';

describe('fitLogisticRegression', () => {
  it('finds the weights that scikit-learn 1.9.1 finds', () => {
    // StandardScaler, then LogisticRegression(C=1/ridge, solver='newton-cholesky', tol=1e-12); its
    // weights are divided by the scales.
    const rows = range(0, 24).map((i) =>
      Float32Array.of(Math.sin(i * 1.7), 10 + 3 * Math.cos(i * 0.9), (i * 7) % 5),
    );
    const labels = range(0, 24).map(
      (i) => Math.sin(i * 1.7) + 0.3 * ((i * 7) % 5) + 0.8 * Math.cos(i * 2.3) > 0.5,
    );
    const expected = [
      [0.5, [2.7611730717234053, -0.341355441614794, 0.7683142264287873], 2.5884533349445293],
      [5, [1.0873999223542121, -0.1449281616855714, 0.2920714693924321], 1.2684918768370872],
    ] as const;
    for (const [ridge, weights, bias] of expected) {
      const found = fitLogisticRegression(rows, labels, ridge);
      assertClose(found.weights, weights, 1e-5);
      assertClose([found.bias], [bias], 1e-5);
    }
  });

  it('leaves a column alone that says nothing', () => {
    const rows = range(0, 10).map((i) => Float32Array.of(i, 3));
    const { weights } = fitLogisticRegression(
      rows,
      rows.map((_, i) => i > 4),
      1,
    );
    assert.equal(weights[1], 0);
    assert.ok(at(weights, 0) > 0);
  });
});

describe('Scorer.scoreParts', () => {
  it('is what probabilities and states are by themselves', async () => {
    const parameters = await loadParameters(golden('gpt2', 'tiny-trained'));
    const sequences = [
      { ids: [5, 9, 2, 7], from: 2 },
      { ids: [1, 2], from: 1 },
      { ids: [3, 3, 8, 1, 4, 6], from: 5 },
    ];
    await using both = await Scorer.create(parameters, 'both', { threads: 1 });
    await using losses = await Scorer.create(parameters, 'losses', { threads: 1 });
    await using states = await Scorer.create(parameters, 'states', { threads: 1 });
    const parts = await both.scoreParts(sequences);
    assertClose(
      parts.map(({ logProbability }) => logProbability),
      await losses.logProbabilities(sequences),
      1e-5,
    );
    for (const [row, state] of (await states.lastStates(sequences)).entries()) {
      assertClose(at(parts, row).lastState, state, 1e-5);
    }
  });
});

/** Replies that do are those of few words. */
function judgedByLength(histories: number): JudgedResponse[] {
  const long = 'and then we went on and on and on to the end of it';
  return range(0, histories).flatMap((index) =>
    ['yes', 'no', `I ${long}`, `you ${long}`].map((response) => ({
      history: [`what about ${index}`],
      response,
      good: response.length < 5,
    })),
  );
}

/** A copy of a model that has no value head, and no ways of its own. */
async function copyWithoutHead(from: string, to: string): Promise<void> {
  const filter = (path: string) => !/value_head|generation_config/.test(path);
  await cp(from, to, { recursive: true, filter });
}

describe('a value head', () => {
  let packaged: string;
  let checkpoint: Checkpoint;
  before(async () => {
    packaged = await resolveModel('small-talk');
    checkpoint = await loadCheckpoint(packaged);
  });

  it('learns what those who judge have in common, and reports of histories it did not see', async () => {
    const judged = judgedByLength(30);
    const told: number[] = [];
    const { head, report } = await trainValueHead(checkpoint, judged, {
      validation: 0.3,
      threads: 1,
      onProgress: (read) => told.push(read),
    });
    assert.equal(told.at(-1), judged.length);
    assert.equal(report.responses, 4 * report.histories);
    assert.ok(report.histories > 2 && report.histories < 20);
    assert.deepEqual([report.chosen, report.random, report.possible], [1, 0.5, 1]);
    assert.equal(report.areaUnderCurve, 1);
    await using reader = await ReplyReader.create(checkpoint, { threads: 1 });
    const reranker = valueReranker(reader, head);
    const scores = await reranker.score(
      ['Do you like it?'],
      ['no', 'no and then we went on and on and on to the end of it'],
    );
    assert.ok((scores[0]?.final ?? 0) > 0.5 && (scores[1]?.final ?? 1) < 0.5);
  });

  it('refuses judgements that all agree', async () => {
    const judged = judgedByLength(5).map((one) => ({ ...one, good: true }));
    await assert.rejects(trainValueHead(checkpoint, judged), /a value head needs both/);
  });

  it('reads a response the same in company, and leaves out whole turns that have no room', async () => {
    await using reader = await ReplyReader.create(checkpoint, { threads: 1 });
    const word = 'over and over again ';
    const pairs = [
      { history: ['Hello!', 'Hi.', 'How are you?'], response: 'Fine.' },
      { history: [word.repeat(40), 'How are you?'], response: 'Fine.' },
      { history: ['How are you?'], response: 'Fine.' },
    ];
    const together = await reader.read(pairs);
    const alone = await reader.read(pairs.slice(0, 1));
    assertClose(at(together, 0), at(alone, 0), 1e-4);
    assertClose(at(together, 1), at(together, 2), 1e-4);
    await assert.rejects(reader.read([{ history: ['  '], response: 'Fine.' }]), /nothing to reply/);
  });

  it('is kept beside the model, goes along when it is converted, and fits no other', async (context) => {
    const folder = await temporaryFolder(context);
    const model = join(folder, 'model');
    await copyWithoutHead(packaged, model);
    const { n_embd: width } = checkpoint.parameters.config;
    const head = {
      state: Float32Array.from(range(0, width), (index) => index / 7),
      measures: Float32Array.of(1, 2, 3),
      bias: -0.5,
    };
    await assert.rejects(loadValueHead(model, width), /value_head\.safetensors/);
    await saveValueHead(model, head);
    assert.deepEqual(await loadValueHead(model, width), head);
    await convertModel(model, join(folder, 'half'), 'safetensors', 'fp16');
    assert.deepEqual(await loadValueHead(join(folder, 'half'), width), head);
    await assert.rejects(
      loadValueHead(join(folder, 'half'), width + 1),
      /its shape is \[\d+\], not \[\d+\]; the value head is another model's/,
    );
  });

  it('chooses among candidates with rerank: value, and is asked for where there is none', async (context) => {
    const folder = await temporaryFolder(context);
    await copyWithoutHead(packaged, folder);
    {
      await using model = await loadModel(folder, { threads: 1 });
      const replies = model.reply(['Hello!'], { rerank: 'value', numCandidates: 2 });
      await assert.rejects(replies.next(), /rerank: value needs a model with a value head/);
    }
    const { n_embd: width } = checkpoint.parameters.config;
    // Few tokens are all that counts.
    const measures = Float32Array.of(0, 0, -1);
    await saveValueHead(folder, { state: new Float32Array(width), measures, bias: 0 });
    await using model = await loadModel(folder, { threads: 1 });
    let shown: readonly { text: string; scores: Readonly<Record<string, number>> }[] = [];
    let reply = '';
    const options = { rerank: 'value', numCandidates: 6, seed: 3, safety: false } as const;
    for await (const piece of model.reply(['Hello!'], {
      ...options,
      onCandidates: (all) => {
        shown = all;
      },
    })) {
      reply += piece;
    }
    assert.ok(shown.length > 1);
    assert.equal(reply, shown[0]?.text);
    const values = shown.map(({ scores }) => scores.final ?? 0);
    assert.deepEqual(
      values,
      values.toSorted((a, b) => b - a),
    );
    assert.ok(at(values, 0) > at(values, values.length - 1));
  });
});
