import { existsSync, readFileSync } from 'node:fs';
import { at } from '../src/base/arrays.js';
import { Random } from '../src/base/random.js';
import {
  chrfMetric,
  ciderMetric,
  type Corpus,
  diversity,
  evaluateSystems,
  meteorMetric,
  mtevalMetric,
  readMeteorResources,
  rougeLMetric,
  sacreBleuMetric,
} from '../src/evaluation/index.js';
import { addUp } from '../src/evaluation/metric.js';
import { Pieces } from '../src/evaluation/words.js';
import { golden, sharedData } from '../test/support/files.js';
import { type Benchmark, formatTable } from './benchmark.js';

const INSTANCES = 6000;
const REFERENCES = 6;

/**
 * All metrics as `dialogpt eval` computes them, METEOR in a thread beside the others; then, for
 * comparison, one after the other in one thread. The texts are halves of lines put together: of
 * DSTC-7's where `../shared/data` is there, else of the golden texts.
 */
export const evalBenchmark: Benchmark = {
  description: `All metrics over ${INSTANCES} responses with ${REFERENCES} references each, in milliseconds`,
  run: async (print) => {
    const corpus = makeCorpus();
    const meteorData = existsSync(sharedData('meteor'))
      ? sharedData('meteor')
      : golden('evaluation', 'meteor-data');
    const laps: Record<string, Lap> = {};
    let lap = startLap();
    const finish = (name: string): void => {
      laps[name] = lap();
      lap = startLap();
    };
    await evaluateSystems([{ system: 'halves', corpus }], { meteorData });
    finish('all');
    const pieces = new Pieces();
    const resources = await readMeteorResources(meteorData, []);
    finish('METEOR data');
    for (const metric of [
      mtevalMetric(pieces),
      meteorMetric(resources, pieces),
      sacreBleuMetric(pieces),
      rougeLMetric(pieces),
      ciderMetric(pieces),
      chrfMetric(pieces),
    ]) {
      metric.score(addUp(metric.statistics(corpus)));
      finish(metric.name);
    }
    diversity(corpus.hypotheses, pieces);
    finish('diversity');
    print(
      formatTable([
        ['', 'time', 'processor'],
        ...Object.entries(laps).map(([name, { time, processor }]) => [
          name,
          String(time),
          String(processor),
        ]),
      ]),
    );
    return { texts: existsSync(sharedData('dstc7')) ? 'DSTC-7' : 'golden', milliseconds: laps };
  },
};

/** Milliseconds on the clock, and of the processor's time: on a busy machine, what counts. */
interface Lap {
  readonly time: number;
  readonly processor: number;
}

/** Gives a function that says how long ago it was made. */
function startLap(): () => Lap {
  const start = performance.now();
  const processorStart = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(processorStart);
    return {
      time: Math.round(performance.now() - start),
      processor: Math.round((user + system) / 1000),
    };
  };
}

function makeCorpus(): Corpus {
  const [responses, references] = existsSync(sharedData('dstc7')) ? dstcLines() : goldenLines();
  const random = new Random(1);
  const splice = (lines: readonly string[]): string => {
    const first = at(lines, random.below(lines.length)).split(' ');
    const second = at(lines, random.below(lines.length)).split(' ');
    const words = [...first.slice(0, first.length / 2), ...second.slice(second.length / 2)];
    // A text fresh from a file is one piece of memory; so is this one.
    return Buffer.from(words.join(' ')).toString();
  };
  return {
    hypotheses: Array.from({ length: INSTANCES }, () => splice(responses)),
    references: Array.from({ length: INSTANCES }, () =>
      Array.from({ length: REFERENCES }, () => splice(references)),
    ),
  };
}

function dstcLines(): [responses: string[], references: string[]] {
  const lines = (name: string): string[] =>
    readFileSync(sharedData('dstc7', name), 'utf8').split('\n');
  return [
    ['TeamB.txt', 'Baseline.txt'].flatMap(lines),
    [0, 1, 2, 3, 4, 5].flatMap((place) => lines(`ref${place}.txt`)),
  ];
}

function goldenLines(): [responses: string[], references: string[]] {
  const texts = readFileSync(golden('evaluation', 'texts.json'), 'utf8').match(/"[^"]+"/g) ?? [];
  return [texts, texts];
}
