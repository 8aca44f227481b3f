import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { at, range } from '../../src/base/arrays.js';
import { Random } from '../../src/base/random.js';
import {
  type Checkpoint,
  freshCheckpoint,
  loadCheckpoint,
  openSafetensors,
  saveCheckpoint,
} from '../../src/checkpoint/index.js';
import { buildDataset, Dataset } from '../../src/dataset/index.js';
import { LoraAdapter } from '../../src/model/index.js';
import { Tokenizer, trainVocabulary } from '../../src/tokenizer/index.js';
import { LossModel, measurePerplexity, openRun, train } from '../../src/training/index.js';
import { temporaryFolder } from '../support/files.js';
import { timelessLogs } from '../support/training.js';

const lines = range(0, 40).map((number) => `how much is ${number} and one ?\tit is ${number + 1}`);
const tokenizer = new Tokenizer(trainVocabulary(lines, 300));
const shape = { n_positions: 64, n_embd: 32, n_layer: 2, n_head: 2 };
const lora = { rank: 4, alpha: 8, dropout: 0.1, targetModules: ['c_attn', 'c_fc'] };
const STEPS = 9;

interface Setting {
  readonly folder: string;
  readonly base: Checkpoint;
  readonly data: Dataset;
  readonly held: Dataset;
}

async function prepare(context: TestContext): Promise<Setting> {
  const folder = await temporaryFolder(context);
  await writeFile(join(folder, 'corpus.tsv'), `${lines.join('\n')}\n`);
  const set = join(folder, 'set');
  await buildDataset(join(folder, 'corpus.tsv'), set, tokenizer, {
    maxSequenceLength: 64,
    validation: 0.2,
  });
  const base = freshCheckpoint(tokenizer, shape, 5);
  await saveCheckpoint(join(folder, 'base'), base);
  const held = await Dataset.open(set, 'validation');
  return { folder, base, data: await Dataset.open(set), held };
}

/** Trains an adapter in `name`, from where the run stands, up to step `until`. */
async function go({ folder, base, data, held }: Setting, name: string, until = Infinity) {
  const out = join(folder, name);
  const resume = await openRun(out);
  const { config } = base.parameters;
  const fresh = () => LoraAdapter.initialize(config, lora, join(folder, 'base'), new Random(2));
  const checkpoint = resume?.checkpoint ?? { ...base, adapter: fresh() };
  const stop = new AbortController();
  const result = await train(checkpoint, data, held, {
    outputDir: out,
    numOptimSteps: STEPS,
    trainBatchSize: 4,
    learningRate: 2e-2,
    lrSchedule: 'cosine',
    validStep: 3,
    threads: 1,
    signal: stop.signal,
    ...(resume === undefined ? {} : { resume }),
    onStep: ({ step }) => {
      if (step === until) stop.abort();
    },
  });
  return { result, checkpoint, out };
}

describe('training an adapter', () => {
  it('leaves the model as it is, makes it better, and keeps moments of the adapter alone', async (context) => {
    const setting = await prepare(context);
    const before = Float32Array.from(setting.base.parameters.buffer);
    await using plain = await LossModel.forEvaluation(setting.base.parameters, { threads: 1 });
    const { loss: start } = await measurePerplexity(plain, setting.held);
    const { result, checkpoint, out } = await go(setting, 'run');
    assert.deepEqual(setting.base.parameters.buffer, before);
    const { best } = result;
    assert.ok(best !== undefined && best.loss < start, `${best?.loss ?? 'none'}, before ${start}`);

    const last = join(out, `checkpoint-${STEPS}`);
    assert.deepEqual((await readdir(last)).sort(), [
      'adapter_config.json',
      'adapter_model.safetensors',
      'merges.txt',
      'tokenizer_config.json',
      'training',
      'vocab.json',
    ]);
    const moments = await openSafetensors(join(last, 'training', 'optimizer.safetensors'));
    const names = checkpoint.adapter?.layout.map(({ name }) => name) ?? [];
    assert.deepEqual(
      [...moments.keys()].sort(),
      ['first_moment', 'second_moment']
        .flatMap((which) => names.map((name) => `${which}.${name}`))
        .sort(),
    );

    // The folder is a model that can be loaded, and it is the one that was measured.
    const merged = await loadCheckpoint(out);
    await using model = await LossModel.forEvaluation(merged.parameters, { threads: 1 });
    const { loss } = await measurePerplexity(model, setting.held, { batchSize: 4 });
    assert.ok(Math.abs(loss - best.loss) < 1e-5, `${loss}, measured ${best.loss}`);
  });

  it('goes on bit for bit where it was interrupted', async (context) => {
    const setting = await prepare(context);
    const whole = await go(setting, 'whole');
    for (const until of [2, 3, 7]) await go(setting, 'parts', until);
    const parts = await go(setting, 'parts');
    assert.deepEqual(parts.result, whole.result);
    assert.deepEqual(await timelessLogs(parts.out), await timelessLogs(whole.out));
    const files = ['adapter_model.safetensors', join('training', 'optimizer.safetensors')];
    for (const file of files.map((name) => join(`checkpoint-${STEPS}`, name))) {
      assert.deepEqual(
        await readFile(join(parts.out, file)),
        await readFile(join(whole.out, file)),
      );
    }
  });

  it('does not go on when the model below it has changed', async (context) => {
    const setting = await prepare(context);
    const { out } = await go(setting, 'run', 3);
    const other = freshCheckpoint(tokenizer, shape, 6);
    await saveCheckpoint(join(setting.folder, 'base'), other);
    const notices: string[] = [];
    await assert.rejects(
      openRun(out, (sentence) => notices.push(sentence)),
      /can be read/,
    );
    assert.match(at(notices, 0), /the model that it belongs to, .*base, has changed/);
  });
});
