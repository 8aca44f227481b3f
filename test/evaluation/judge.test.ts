import assert from 'node:assert/strict';
import { once } from 'node:events';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import {
  createJudgeServer,
  formatTally,
  type Judgement,
  JudgingSession,
  krippendorffAlpha,
  readJudgements,
  tallyFile,
  tallyJudgements,
} from '../../src/evaluation/index.js';
import { temporaryFolder } from '../support/files.js';

const contexts = Array.from({ length: 12 }, (_, index) => `question ${index}`);
const comparison = {
  contexts,
  first: {
    system: 'model-a.txt',
    responses: contexts.map((_, index) => `left-hand reply ${index}`),
  },
  second: { system: 'model-b.txt', responses: contexts.map((_, index) => `other reply ${index}`) },
};
const tie = { relevance: 'tie', informativeness: 'tie', 'human-likeness': 'tie' } as const;

describe('JudgingSession', () => {
  it('shows both systems on both sides, in an order of its own for each judge', async (context) => {
    const path = join(await temporaryFolder(context), 'judgements.jsonl');
    const session = await JudgingSession.open(path, comparison, 1);
    const sides = new Set<boolean>();
    const orders = new Map<string, number[]>();
    for (const judge of ['anna', 'ben']) {
      const order: number[] = [];
      for (let task = session.next(judge); task !== undefined; task = session.next(judge)) {
        order.push(task.instance);
        sides.add(task.left.startsWith('left'));
        assert.equal(task.context, contexts[task.instance]);
        await session.record(judge, task.instance, tie);
      }
      orders.set(judge, order);
      assert.deepEqual(
        [...order].sort((a, b) => a - b),
        contexts.map((_, index) => index),
      );
    }
    assert.equal(sides.size, 2);
    assert.notDeepEqual(orders.get('anna'), orders.get('ben'));
    await session.close();
    assert.equal((await readJudgements(path)).length, 2 * 12 * 3);
  });

  it('records the system behind the side that won', async (context) => {
    const path = join(await temporaryFolder(context), 'judgements.jsonl');
    const session = await JudgingSession.open(path, comparison, 7);
    for (let task = session.next('anna'); task !== undefined; task = session.next('anna')) {
      const answer = task.left.startsWith('left') ? 'left' : 'right';
      await session.record('anna', task.instance, { ...tie, relevance: answer });
    }
    await session.close();
    const relevance = (await readJudgements(path)).filter(
      ({ question }) => question === 'relevance',
    );
    assert.equal(relevance.length, 12);
    assert.ok(
      relevance.every(({ winner, first }) => winner === 'first' && first === 'model-a.txt'),
    );
  });

  it('goes on where it was left, even when a line was cut off', async (context) => {
    const path = join(await temporaryFolder(context), 'judgements.jsonl');
    const before = await JudgingSession.open(path, comparison, 1);
    const first = before.next('anna');
    assert.ok(first);
    await before.record('anna', first.instance, tie);
    await before.record('anna', first.instance, tie);
    const upcoming = before.next('anna');
    await before.close();
    const whole = await readFile(path, 'utf8');
    assert.equal(whole.split('\n').length, 4);
    await appendFile(path, '{"judge":"anna","inst');
    const after = await JudgingSession.open(path, comparison, 1);
    assert.deepEqual(after.next('anna'), upcoming);
    await after.close();
    assert.equal(await readFile(path, 'utf8'), whole);
  });
});

describe("the judges' page", () => {
  it('asks, records and never tells the systems', async (context) => {
    const path = join(await temporaryFolder(context), 'judgements.jsonl');
    const session = await JudgingSession.open(path, comparison, 1);
    const server = createJudgeServer(session, contexts.length);
    context.after(async () => {
      server.closeAllConnections();
      server.close();
      await session.close();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = z.object({ port: z.number() }).parse(server.address());
    const at = (place: string): string => `http://127.0.0.1:${port}${place}`;

    const page = await (await fetch(at('/'))).text();
    assert.match(page, /name="human-likeness"/);
    const text = await (await fetch(at('/task?judge=anna'))).text();
    assert.doesNotMatch(page + text, /model-[ab]/);
    const { instance } = z.object({ instance: z.number() }).parse(JSON.parse(text));

    const post = (body: string, type = 'application/json'): Promise<Response> =>
      fetch(at('/judgement'), { method: 'POST', headers: { 'content-type': type }, body });
    const good = JSON.stringify({ judge: 'anna', instance, answers: tie });
    for (const bad of ['{', '{}', JSON.stringify({ judge: 'anna', instance: 12, answers: tie })]) {
      assert.equal((await post(bad)).status, 400);
    }
    assert.equal((await post(good, 'text/plain')).status, 400);
    assert.equal((await fetch(at('/elsewhere'))).status, 404);
    assert.equal((await readJudgements(path)).length, 0);
    assert.equal((await post(good)).status, 200);
    assert.equal((await readJudgements(path)).length, 3);
  });
});

const judgement = (instance: number, judge: string, winner: Judgement['winner']): Judgement => ({
  judge,
  instance: String(instance),
  question: 'relevance',
  first: 'a',
  second: 'b',
  winner,
});

describe('tallyJudgements', () => {
  it('counts, whichever way round a pair is written', () => {
    const [tally, ...others] = tallyJudgements([
      judgement(1, 'x', 'first'),
      judgement(1, 'y', 'first'),
      { ...judgement(2, 'x', 'first'), first: 'b', second: 'a' },
      judgement(3, 'x', 'tie'),
    ]);
    assert.equal(others.length, 0);
    assert.deepEqual([tally?.wins.count, tally?.ties.count, tally?.losses.count], [2, 1, 1]);
    assert.equal(tally?.wins.share, 0.5);
    // Only the first instance has two answers, and they are alike.
    assert.equal(tally.agreement, undefined);
  });

  it('has intervals as wide as the theory of shares says', () => {
    const judgements = Array.from({ length: 1000 }, (_, index) =>
      judgement(index, 'x', index % 10 < 6 ? 'first' : 'second'),
    );
    const [tally] = tallyJudgements(judgements);
    const [low, high] = tally?.wins.interval ?? [NaN, NaN];
    const error = 1.96 * Math.sqrt((0.6 * 0.4) / 1000);
    assert.ok(Math.abs(low - (0.6 - error)) < 0.006 && Math.abs(high - (0.6 + error)) < 0.006);
  });
});

describe('krippendorffAlpha', () => {
  const nominal = (a: number, b: number): number => (a === b ? 0 : 1);

  it("equals Krippendorff's own example", () => {
    // Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability": four observers, twelve units.
    const observers = [
      '1 2 3 3 2 1 4 1 2 . . .',
      '1 2 3 3 2 2 4 1 2 5 . 3',
      '. 3 3 3 2 3 4 2 2 5 1 .',
      '1 2 3 3 2 4 4 1 2 5 1 .',
    ].map((row) => row.split(' '));
    const units = Array.from({ length: 12 }, (_, unit) =>
      observers
        .map((row) => row[unit] ?? '.')
        .filter((value) => value !== '.')
        .map(Number),
    );
    assert.equal(krippendorffAlpha(units, nominal)?.toFixed(3), '0.743');
    assert.equal(krippendorffAlpha(units, (a, b) => (a - b) ** 2)?.toFixed(3), '0.849');
  });

  it('is never above 1, and 1 where all agree', () => {
    fc.assert(
      fc.property(fc.array(fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 5 })), (units) => {
        assert.ok((krippendorffAlpha(units, nominal) ?? 1) <= 1);
      }),
    );
    assert.equal(
      krippendorffAlpha(
        [
          [1, 1],
          [2, 2],
        ],
        nominal,
      ),
      1,
    );
    assert.equal(krippendorffAlpha([[1], [2]], nominal), undefined);
  });
});

describe('tallyFile', () => {
  it("reads ratings as DSTC-7's, and compares the means", async (context) => {
    const path = join(await temporaryFolder(context), 'ratings.tsv');
    const rows = [
      'JudgeID\tInstanceID\tSystemID\tRelevance\tInformativeness',
      ...['j1\ti1\tHuman\t5\t4', 'j2\ti1\tHuman\t4\t4', 'j1\ti1\tBot\t2\t4', 'j2\ti1\tBot\t3\t4'],
      ...['j1\ti2\tHuman\t1\t1', 'j2\ti2\tHuman\t2\t1', 'j3\ti2\tBot\t3\t5', 'j4\ti2\tBot\t3\t5'],
    ];
    await writeFile(path, `\uFEFF${rows.join('\r\n')}\r\n`);
    const result = await tallyFile(path);
    assert.deepEqual(
      result.tallies.map(({ question, first, second, wins, ties, losses }) => [
        question,
        first,
        second,
        wins.count,
        ties.count,
        losses.count,
      ]),
      [
        ['relevance', 'Bot', 'Human', 1, 0, 1],
        ['informativeness', 'Bot', 'Human', 1, 1, 0],
      ],
    );
    assert.deepEqual(
      result.ratings?.map(({ question, system, mean }) => [question, system, mean]),
      [
        ['relevance', 'Human', 3],
        ['relevance', 'Bot', 2.75],
        ['informativeness', 'Bot', 4.5],
        ['informativeness', 'Human', 2.5],
      ],
    );
    assert.match(formatTally(result), /relevance +Bot +Human +1 \(50\.0 %/);
    assert.equal((await tallyFile(path, ['Bot', 'Human'])).tallies.length, 2);
    await assert.rejects(tallyFile(path, ['Bot']), /no judgement to count/);
    await writeFile(path, `${rows.slice(0, 2).join('\n')}\nj\ti\ts\t5\n`);
    await assert.rejects(tallyFile(path), /line 3: 4 columns instead of 5/);
    await writeFile(path, `${rows.slice(0, 2).join('\n')}\nj\ti\ts\t5\tgood\n`);
    await assert.rejects(tallyFile(path), /line 3: the rating "good" is no number/);
    await writeFile(path, '{"judge": 1}\n');
    await assert.rejects(tallyFile(path), /line 1: this is no judgement/);
  });
});
