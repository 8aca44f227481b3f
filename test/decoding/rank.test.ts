import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { UserError } from '../../src/base/errors.js';
import { loadCheckpoint } from '../../src/checkpoint/index.js';
import {
  loadModel,
  MutualInformation,
  namedRankers,
  readEnsemble,
  type ReplyCandidate,
} from '../../src/decoding/index.js';
import { runCommand } from '../support/command.js';
import { golden, temporaryFolder } from '../support/files.js';
import { given } from '../support/given.js';
import { goldenJson } from '../support/golden.js';

const scores = z.record(z.string(), z.number());
const reference = await goldenJson(
  z.object({
    ranked: z.array(
      z.object({
        context: z.string(),
        responses: z.array(z.object({ text: z.string(), scores })),
      }),
    ),
    mmi: z.array(
      z.object({
        history: z.array(z.string()),
        responses: z.array(z.string()),
        scores: z.array(z.number()),
      }),
    ),
  }),
  'ranking',
  'scores.json',
);

const lineSchema = z.object({
  line_id: z.number(),
  cxt: z.string(),
  hyps: z.array(
    z.union([z.tuple([z.number(), z.string()]), z.tuple([z.number(), scores, z.string()])]),
  ),
});

function parsed(text: string): z.infer<typeof lineSchema>[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => lineSchema.parse(JSON.parse(line)));
}

function assertNear(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) < 1e-5, `${actual} is not ${expected}`);
}

const RESPONSES = ['--input', golden('ranking', 'responses.tsv'), '--threads', '1'];

describe('dialogpt rank', () => {
  it('scores with one ranker as PyTorch does, the best first', async () => {
    const ranker = golden('ranking', 'ranker-updown');
    const { code, stdout, stderr } = await runCommand(['rank', '--ranker', ranker, ...RESPONSES]);
    assert.equal(code, 0, stderr);
    const lines = parsed(stdout);
    assert.equal(lines.length, reference.ranked.length);
    for (const [index, { context, responses }] of reference.ranked.entries()) {
      const line = given(lines[index]);
      assert.equal(line.line_id, index);
      assert.equal(line.cxt, context);
      const expected = responses.toSorted(
        (a, b) => (b.scores.updown ?? 0) - (a.scores.updown ?? 0),
      );
      assert.equal(line.hyps.length, expected.length);
      for (const [place, { text, scores: own }] of expected.entries()) {
        const hypothesis = given(line.hyps[place]);
        assert.equal(hypothesis.at(-1), text);
        assert.equal(hypothesis.length, 2);
        assertNear(hypothesis[0], own.updown ?? NaN);
      }
    }
    assert.match(stderr, /2 lines; scores on average 0\.\d{3}, of the best responses 0\.\d{3}\./);
  });

  it("scores with an ensemble by DialogRPT's file, whatever the batch", async (context) => {
    const out = join(await temporaryFolder(context), 'ranked.jsonl');
    const ensemble = golden('ranking', 'ensemble.yml');
    const words = ['rank', '--ranker', ensemble, ...RESPONSES, '--out', out, '--batch-size', '1'];
    const { code, stderr } = await runCommand(words);
    assert.equal(code, 0, stderr);
    for (const [index, line] of parsed(await readFile(out, 'utf8')).entries()) {
      const { responses } = given(reference.ranked[index]);
      const finals = line.hyps.map(([final]) => final);
      assert.deepEqual(
        finals,
        finals.toSorted((a, b) => b - a),
      );
      for (const [final, own, text] of line.hyps) {
        const expected = given(responses.find((response) => response.text === text)).scores;
        assert.ok(typeof own === 'object');
        assert.deepEqual(Object.keys(own), ['rand', 'machine', 'updown', 'width', 'final']);
        for (const [name, value] of Object.entries(expected)) assertNear(own[name] ?? NaN, value);
        assertNear(final, expected.final ?? NaN);
      }
    }
  });

  it('leaves out lines without responses, and says so', async () => {
    const { code, stdout, stderr } = await runCommand(
      ['rank', '--ranker', golden('ranking', 'ranker-updown'), '--threads', '1'],
      { input: 'nothing\nhello\tthere\n' },
    );
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^Line 1 has no response; it is left out\.$/m);
    assert.deepEqual(
      parsed(stdout).map(({ line_id, hyps }) => [line_id, hyps.map((one) => one.at(-1))]),
      [[1, ['there']]],
    );
  });
});

describe('maximum mutual information', () => {
  it('equals that of PyTorch', async () => {
    const checkpoint = await loadCheckpoint(golden('ranking', 'reverse'));
    await using mmi = await MutualInformation.create(checkpoint, { threads: 1 });
    for (const { history, responses, scores: expected } of reference.mmi) {
      const found = await mmi.score(history, responses);
      for (const [index, { final = NaN }] of found.entries()) {
        assert.ok(Math.abs(final - given(expected[index])) < 1e-3, `${final}`);
      }
    }
  });

  it('ranks the candidates of a model that is loaded with a reverse model', async () => {
    const reverseModel = golden('ranking', 'reverse');
    await using model = await loadModel(reverseModel, { reverseModel, threads: 1 });
    const history = ['first', 'How are you?'];
    let told: readonly ReplyCandidate[] = [];
    let reply = '';
    const pieces = model.reply(history, {
      seed: 1,
      numCandidates: 5,
      rerank: 'mmi',
      maxNewTokens: 6,
      onCandidates: (candidates) => {
        told = candidates;
      },
    });
    for await (const piece of pieces) reply += piece;
    assert.ok(told.length > 1);
    assert.equal(reply, told[0]?.text);
    const checkpoint = await loadCheckpoint(reverseModel);
    await using mmi = await MutualInformation.create(checkpoint, { threads: 1 });
    const found = await mmi.score(
      history,
      told.map(({ text }) => text),
    );
    for (const [index, { scores: own }] of told.entries()) {
      assert.ok(Math.abs(given(own.final) - given(found[index]?.final)) < 1e-4);
    }
  });
});

describe('rankers by name', () => {
  it('are those of DialogRPT, with their weights', async () => {
    assert.deepEqual(await namedRankers(['updown', 'human-vs-rand=0.5', './mine=-2']), [
      { name: 'updown', path: 'microsoft/DialogRPT-updown', weight: 1, kind: 'cond' },
      {
        name: 'human-vs-rand',
        path: 'microsoft/DialogRPT-human-vs-rand',
        weight: 0.5,
        kind: 'prior',
      },
      { name: './mine', path: './mine', weight: -2, kind: 'cond' },
    ]);
    await assert.rejects(namedRankers(['updown=much']), UserError);
  });

  it('come from an ensemble file, from the hub where the file has no such model', async (context) => {
    const path = join(await temporaryFolder(context), 'ensemble.yml');
    await writeFile(
      path,
      'prior:\n  - {name: human_vs_rand, wt: 0.5, path: restore/human_vs_rand.pth}\ncond:\n  - {name: mine, wt: 1, path: other.pth}\n',
    );
    assert.deepEqual(await readEnsemble(path), [
      {
        name: 'human_vs_rand',
        weight: 0.5,
        kind: 'prior',
        path: 'microsoft/DialogRPT-human-vs-rand',
      },
      { name: 'mine', weight: 1, kind: 'cond', path: 'other.pth' },
    ]);
    for (const text of ['prior: 1', 'prior: [', 'cond:\n  - {name: x}\n']) {
      await writeFile(path, text);
      await assert.rejects(readEnsemble(path), UserError);
    }
  });
});
