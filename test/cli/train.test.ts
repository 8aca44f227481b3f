import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { z } from 'zod';
import { readJson } from '../../src/base/files.js';
import { runCommand } from '../support/command.js';
import { succeed, TINY, writeSmallCorpus } from '../support/tiny.js';
import { readLog } from '../support/training.js';

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dialogpt-test-'));
  await writeSmallCorpus(folder);
  const build = ['data', 'build', '--corpus', 'small.tsv', '--out', 'data', '--vocab-size', '300'];
  await succeed(folder, [...build, '--validation', '0.1']);
  await train('base', '--data', 'data', ...TINY, '--num-optim-steps', '2', '--seed', '7');
});
after(() => rm(folder, { recursive: true, force: true }));

const stateSchema = z.object({
  progress: z.object({ step: z.number(), batches: z.number(), epoch: z.number() }),
  settings: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
});

/** Trains on one thread in the folder `out` and returns what it printed on both streams. */
async function train(out: string, ...words: readonly string[]) {
  const all = ['train', '--threads', '1', ...(out === '' ? [] : ['--out', out]), ...words];
  const result = await runCommand(all, { cwd: folder });
  assert.equal(result.code, 0, result.stderr);
  return result;
}

/** What the newest checkpoint says of its run. */
async function stateOf(out: string) {
  const steps = (await readdir(join(folder, out)))
    .flatMap((name) => /^checkpoint-(\d+)$/.exec(name)?.[1] ?? [])
    .map(Number);
  const path = join(folder, out, `checkpoint-${Math.max(...steps)}`, 'training', 'state.json');
  return stateSchema.parse(await readJson(path));
}

/** The mean losses in a run's log. */
async function losses(out: string): Promise<string[]> {
  const rows = await readLog(join(folder, out), 'train_log.txt');
  return rows.slice(1).map((row) => row[3] ?? '');
}

async function refuses(words: readonly string[], message: RegExp): Promise<void> {
  const { code, stderr } = await runCommand(['train', ...words], { cwd: folder });
  assert.ok(code === 1 || code === 2, stderr);
  assert.match(stderr, message);
  assert.doesNotMatch(stderr, /unexpected|\n {4}at /);
}

const step = (count: number) => ['--num-optim-steps', String(count)];

describe("train with the original's names", () => {
  it('has its defaults', async () => {
    const flags = ['--train-input-file', 'data', '--model-name-or-path', 'base'];
    await train('', ...flags, '--output-dir', 'original', ...step(3));
    const { settings, progress } = await stateOf('original');
    assert.deepEqual(progress, { step: 3, batches: 6, epoch: progress.epoch });
    assert.deepEqual(settings, {
      data: settings.data,
      seed: 42,
      trainBatchSize: 4,
      gradientAccumulationSteps: 2,
      noTokenId: true,
      numOptimSteps: 3,
      learningRate: 1e-5,
      lrSchedule: 'noam',
      warmupSteps: 16_000,
      warmupProportion: 0.1,
      adam: '{}',
      device: 'cpu',
      threads: 1,
      fp16: false,
      lossScale: 0,
    });
  });

  it('takes every setting from JSON, under whatever case, and the command line beats it', async () => {
    const config = {
      train_input_file: 'data',
      model_name_or_path: 'base',
      train_batch_size: 3,
      'gradient-accumulation-steps': 1,
      learningRate: 2e-4,
      lr_schedule: 'BERT',
      warmup_steps: 5,
      warmup_proportion: 0.5,
      num_optim_steps: 9,
      no_token_id: false,
      seed: 1,
      fp16: false,
      skip_eval: true,
      pbar: false,
      log_dir: null,
    };
    await writeFile(join(folder, 'config.json'), JSON.stringify(config));
    const { stderr } = await train('config', '--config', 'config.json', '--num-optim-steps', '2');
    assert.equal(stderr, '');
    const { settings } = await stateOf('config');
    assert.deepEqual([settings.trainBatchSize, settings.gradientAccumulationSteps], [3, 1]);
    assert.deepEqual([settings.learningRate, settings.lrSchedule], [2e-4, 'BERT']);
    assert.deepEqual([settings.warmupSteps, settings.warmupProportion], [5, 0.5]);
    assert.deepEqual([settings.numOptimSteps, settings.noTokenId, settings.seed], [2, false, 1]);
    assert.equal(settings.adam, '{"clipping":"tensor","epsilon":0.000001}');
    assert.equal((await readLog(join(folder, 'config'), 'eval_log.txt')).length, 1);
  });

  const wrong: readonly (readonly [object | string, RegExp])[] = [
    [{ train_batchsice: 3 }, /no setting "train_batchsice"; did you mean "train_batch_size"\?/],
    [{ zzzz: 3 }, /there is no setting "zzzz"\.?\n/],
    [{ seed: 'many' }, /the setting "seed" is many: Give a whole number/],
    [{ lr_schedule: 'linear' }, /"lr_schedule" is linear: .*noam/],
    [{ seed: [1] }, /"seed" takes one value/],
    ['[1]', /expected a JSON object/],
    ['{', /not valid JSON/],
  ];
  for (const [content, message] of wrong) {
    it(`refuses a configuration: ${JSON.stringify(content)}`, async () => {
      const text = typeof content === 'string' ? content : JSON.stringify(content);
      await writeFile(join(folder, 'wrong.json'), text);
      await refuses(['--config', 'wrong.json', '--out', 'never'], message);
    });
  }

  it('refuses flags that it does not know, and two names of one thing', async () => {
    await refuses(['--lerning-rate', '1'], /unknown option.*Did you mean --learning-rate/s);
    const two = ['--data', 'data', '--train-input-file', 'data', '--out', 'never'];
    await refuses(two, /--data and --train-input-file are two names/);
    const models = ['--model', 'base', '--model-name-or-path', 'base'];
    await refuses(['--data', 'data', '--out', 'never', ...models], /--model and --model-name-or/);
    const outs = ['--data', 'data', '--out', 'never', '--output-dir', 'never'];
    await refuses(outs, /--out and --output-dir/);
    await refuses(['--data', 'data'], /--out FOLDER/);
    await refuses(['--out', 'never', '--model', 'base'], /--data FILE/);
    assert.ok(!existsSync(join(folder, 'never')));
  });

  it('starts from --init-checkpoint, or from fresh weights where a model has none', async () => {
    await mkdir(join(folder, 'shape'));
    for (const name of ['config.json', 'vocab.json', 'merges.txt', 'tokenizer_config.json']) {
      await cp(join(folder, 'base', name), join(folder, 'shape', name));
    }
    const flags = ['--train-input-file', 'data', ...step(1), '--seed', '7'];
    const weights = ['--init-checkpoint', join('base', 'model.safetensors')];
    await train('trained', ...flags, '--model', 'base');
    await train('weights', ...flags, '--model-name-or-path', 'shape', ...weights);
    await train('fresh', ...flags, '--model-name-or-path', 'shape');
    await train('none', ...flags, '--model', 'base', '--init-checkpoint', 'None');
    assert.deepEqual(await losses('weights'), await losses('trained'));
    assert.deepEqual(await losses('none'), await losses('fresh'));
    assert.notDeepEqual(await losses('fresh'), await losses('trained'));
  });

  it('says on the CPU that it trains in fp32', async () => {
    const half = ['--data', 'data', '--model', 'base', ...step(1), '--fp16', '--loss-scale', '128'];
    const { stderr } = await train('half', ...half);
    assert.match(stderr, /^--fp16: the CPU trains in fp32\.\n--loss-scale: .*nothing to scale\.\n/);
  });

  it('each setting of the loss and the optimizer changes the run', async () => {
    const flags = ['--data', 'data', '--model', 'base', '--skip-eval', ...step(3)];
    await train('plain', ...flags, '--learning-rate', '1e-3');
    const plain = await losses('plain');
    assert.equal(plain.length, 3);
    const changes = [
      ['--learning-rate', '2e-3'],
      ['--seed', '3'],
      ['--no-token-id', 'false'],
      ['--train-batch-size', '5'],
      ['--gradient-accumulation-steps', '2'],
      ['--lr-schedule', 'None'],
      ['--lr-schedule', 'noam', '--warmup-steps', '2'],
      ['--warmup-proportion', '0.9'],
      ['--fp16', 'false'],
      ['--adam-beta1', '0.5'],
      ['--adam-beta2', '0.5'],
      ['--adam-epsilon', '0.1'],
      ['--weight-decay', '1'],
      ['--max-grad-norm', '0.001'],
    ];
    for (const [index, change] of changes.entries()) {
      const words = change.includes('--learning-rate') ? [] : ['--learning-rate', '1e-3'];
      await train(`changed-${index}`, ...flags, ...words, ...change);
      assert.notDeepEqual(await losses(`changed-${index}`), plain, change.join(' '));
    }
  });
});

describe('train on data of one’s own', () => {
  it('takes a TSV, chat JSONL and Reddit’s conversations for the same', async () => {
    const rows = (await readFile(join(folder, 'small.tsv'), 'utf8')).trimEnd().split('\n');
    const chats = rows.map((row) =>
      JSON.stringify({
        messages: row.split(/ EOS |\t/).map((content, turn) => ({
          role: turn % 2 === 0 ? 'user' : 'assistant',
          content,
        })),
      }),
    );
    await writeFile(join(folder, 'chats.jsonl'), `${chats.join('\n')}\n`);
    const reddit = rows.map((row, line) => `t3_${line},t1_a,t1_b\t${row}`);
    await writeFile(join(folder, 'reddit.tsv'), `${reddit.join('\n')}\n`);
    const runs = new Set<string>();
    for (const data of ['small.tsv', 'chats.jsonl', 'reddit.tsv']) {
      const out = `from-${data}`;
      const { stdout } = await train(out, '--data', data, '--model', 'base', ...step(2));
      assert.match(stdout, /The model is in .*\n {2}npx dialogpt chat --model /);
      runs.add((await losses(out)).join());
    }
    assert.equal(runs.size, 1);
  });

  it('fine-tunes with nothing said: holds out, validates, samples, keeps the best', async () => {
    const { stderr } = await train('tuned', '--data', 'small.tsv', '--model', 'base');
    const { settings, progress } = await stateOf('tuned');
    const { lrSchedule, learningRate, trainBatchSize, gradientAccumulationSteps } = settings;
    assert.deepEqual(
      [lrSchedule, learningRate, trainBatchSize, gradientAccumulationSteps],
      ['cosine', 5e-5, 8, 1],
    );
    assert.equal(progress.step, settings.numOptimSteps);
    const validations = (await readLog(join(folder, 'tuned'), 'eval_log.txt')).length - 1;
    assert.ok(validations >= 5, `${validations} validations`);
    assert.equal(stderr.match(/held-out loss/g)?.length, validations);
    assert.ok((stderr.match(/ {2}→ {2}/g)?.length ?? 0) >= validations);
    const chat = ['chat', '--model', 'tuned', '--once', '--max-new-tokens', '3'];
    assert.match(await succeed(folder, chat, 'Hello!\n'), /\n$/);
  });

  it('takes held-out conversations, and the flags of validation and logs', async () => {
    await writeFile(
      join(folder, 'held.tsv'),
      'Hello there !\tHello !\nHow are you ?\tI am well .\n',
    );
    const words = ['--data', 'data', '--model', 'base', ...step(8), '--learning-rate', '0.5'];
    const held = ['--eval-input-file', 'held.tsv', '--eval-batch-size', '1', '--valid-step', '2'];
    const more = ['--log-dir', 'logs', '--sample-replies', '2', '--pbar', 'false', '--keep', '3'];
    const never = ['--early-stopping-patience', '0', '--save-steps', '1'];
    const { stderr } = await train('held', ...words, ...held, ...more, ...never);
    assert.doesNotMatch(stderr, /^training:/m);
    assert.match(stderr, /Hello there ! {2}→/);
    assert.equal(stderr.match(/ {2}→ {2}/g)?.length, 8);
    assert.equal((await readLog(join(folder, 'logs'), 'eval_log.txt')).length, 5);
    assert.equal((await readLog(join(folder, 'logs'), 'train_log.txt')).length, 9);
    const names = await readdir(join(folder, 'held'));
    assert.deepEqual(names.filter((name) => name.startsWith('checkpoint-')).sort(), [
      'checkpoint-6',
      'checkpoint-7',
      'checkpoint-8',
    ]);
    const early = ['--learning-rate', '3', '--lr-schedule', 'None', '--valid-step', '1'];
    const from = ['--data', 'data', '--model', 'base', '--eval-input-file', 'held.tsv'];
    const patience = ['--early-stopping-patience', '1', '--sample-replies', '0', ...step(30)];
    const { stdout } = await train('early', ...from, ...early, ...patience);
    assert.match(stdout, /Stopped at step \d+: the held-out perplexity became no lower/);
  });

  it('has --max-seq-length, --normalize-data, --validation and --num-train-epochs', async () => {
    await writeFile(
      join(folder, 'spaced.tsv'),
      'one  two   three\tfour    five\n'.repeat(3) + `long ${'word '.repeat(30)}\tshort\n`,
    );
    const tokens = async (out: string, ...words: string[]) => {
      const flags = ['--data', 'spaced.tsv', '--model', 'base', '--num-train-epochs', '2'];
      await train(out, ...flags, '--train-batch-size', '1', '--validation', '0', ...words);
      const schema = z.object({
        splits: z.object({ train: z.object({ tokens: z.number(), examples: z.number() }) }),
      });
      const { splits } = schema.parse(await readJson(join(folder, out, 'dataset', 'dataset.json')));
      assert.equal((await stateOf(out)).progress.step, 2 * splits.train.examples);
      return splits.train;
    };
    const normal = await tokens('spaces');
    const kept = await tokens('kept', '--normalize-data', 'false');
    assert.ok(kept.tokens > normal.tokens && kept.examples === normal.examples);
    assert.ok((await tokens('shorter', '--max-seq-length', '32')).examples < normal.examples);
  });

  it('says where nothing is held out, and what the model cannot read', async () => {
    await writeFile(join(folder, 'one.tsv'), 'hello there\tgood day\n');
    const flags = ['--data', 'one.tsv', '--model', 'base', ...step(1)];
    const { stderr } = await train('of-one', ...flags);
    assert.match(stderr, /^Nothing is held out, .*--eval-input-file, or .*--validation\.$/m);
    const { stderr: silent } = await train('of-one-unseen', ...flags, '--skip-eval');
    assert.doesNotMatch(silent, /held out/);
    const long = [...flags, '--out', 'never', '--max-seq-length', '256'];
    await refuses(long, /--max-seq-length 256: the model reads 128 tokens at most/);
  });

  it('leaves nothing of a run that fails', async () => {
    const flags = ['--data', 'small.tsv', '--model', 'base', ...step(9), '--lr-schedule', 'None'];
    await refuses([...flags, '--out', 'never', '--learning-rate', '1e38'], /The loss became/);
    assert.ok(!existsSync(join(folder, 'never')));
    const validated = [...flags, '--out', 'never', '--learning-rate', '1e30', '--valid-step', '1'];
    await refuses([...validated, '--validation', '0.2'], /The held-out loss became NaN at step 1;/);
    assert.ok(!existsSync(join(folder, 'never')));
    await refuses(['--data', 'missing', '--model', 'base', '--out', 'never'], /missing: no such/);
    assert.ok(!existsSync(join(folder, 'never')));
  });
});

describe('train --continue-from', () => {
  it('needs no other flag, and takes a folder, a checkpoint or a step', async () => {
    const flags = ['--data', 'small.tsv', '--model', 'base', ...step(6), '--save-steps', '2'];
    await train('whole', ...flags, '--keep', '9');
    const expected = await losses('whole');
    for (const from of ['copy', join('copy', 'checkpoint-2'), '4']) {
      await cp(join(folder, 'whole'), join(folder, 'copy'), { recursive: true });
      await rm(join(folder, 'copy', 'checkpoint-6'), { recursive: true });
      const out = from === '4' ? ['--out', 'copy'] : [];
      const { stderr } = await train('', '--continue-from', from, ...out);
      assert.match(stderr, /^Going on from .*copy.checkpoint-[24]\.\n/);
      assert.deepEqual(await losses('copy'), expected);
      await rm(join(folder, 'copy'), { recursive: true });
    }
    await train('', '--continue-from', 'whole', '--num-train-epochs', '2', '--skip-eval');
    const { progress } = await stateOf('whole');
    assert.deepEqual([progress.epoch, progress.step > 6], [2, true]);
  });

  it('begins at the start where there is no checkpoint yet, and does not mix runs', async () => {
    const flags = ['--data', 'data', '--model', 'base', ...step(2)];
    await train('early-start', ...flags, '--continue-from', '0');
    const { stderr } = await train('killed-early', ...flags, '--continue-from', 'killed-early');
    assert.match(stderr, /^killed-early has no checkpoint yet; starting at the beginning\.\n/);
    assert.deepEqual(await losses('killed-early'), await losses('early-start'));
    await refuses([...flags, '--out', 'early-start'], /holds a run already; .*--continue-from/);
    const other = ['--continue-from', 'early-start', '--out', 'elsewhere'];
    await refuses(other, /goes on in that folder; leave out --out/);
    const seed = ['--continue-from', 'early-start', '--seed', '3', ...step(4)];
    await refuses(seed, /--seed cannot change within a run \(42 to 3\)/);
    await refuses(['--continue-from', 'nowhere'], /--data FILE/);
    assert.ok(!existsSync(join(folder, 'nowhere')));
  });

  it('keeps its data and model, needs the given file no more, and takes a dataset from elsewhere', async () => {
    await cp(join(folder, 'small.tsv'), join(folder, 'passing.tsv'));
    const held = ['--eval-input-file', 'passing.tsv', '--sample-replies', '0'];
    const flags = ['--data', 'passing.tsv', ...held, ...TINY, '--vocab-size', '300'];
    await train('made', ...flags, ...step(1));
    await rm(join(folder, 'passing.tsv'));
    const same = ['--max-seq-length', '128', '--n-layer', '1', '--normalize-data', 'true'];
    await train('', '--continue-from', 'made', ...same, ...step(2));
    for (const [flag, value, change] of [
      ['--data', 'small.tsv', /--data cannot change within a run \(.*passing.tsv to small.tsv\)/],
      ['--eval-input-file', 'small.tsv', /--eval-input-file cannot change/],
      ['--model', 'base', /--model cannot change within a run \(none to base\)/],
      ['--max-seq-length', '64', /--max-seq-length cannot change within a run \(128 to 64\)/],
      ['--n-layer', '2', /--n-layer cannot change within a run \(1 to 2\)/],
    ] as const) {
      await refuses(['--continue-from', 'made', flag, value, ...step(3)], change);
    }

    await cp(join(folder, 'data'), join(folder, 'here'), { recursive: true });
    await train('of-dataset', '--data', 'here', '--model', 'base', ...step(1));
    await rm(join(folder, 'here'), { recursive: true });
    const going = ['--continue-from', 'of-dataset', ...step(2)];
    await refuses(going, /here: no such file/);
    await refuses([...going, '--data', 'small.tsv'], /--data cannot change/);
    await train('', ...going, '--data', 'data');
  });

  it('has the best model of the course that it takes, not of the one that it leaves', async () => {
    const flags = ['--data', 'small.tsv', '--model', 'base', '--validation', '0.2', ...step(4)];
    const saving = ['--valid-step', '2', '--keep', '9', '--sample-replies', '0'];
    await train('course', ...flags, ...saving, '--learning-rate', '1e-3');
    const model = (name: string) => readFile(join(folder, 'course', name, 'model.safetensors'));
    assert.deepEqual(await model('.'), await model('checkpoint-4'));
    const back = ['--continue-from', join('course', 'checkpoint-2'), ...step(3)];
    const { stdout } = await train('', ...back, '--learning-rate', '1e-12');
    assert.match(stdout, /It is that of step 2, the best\./);
    assert.deepEqual(await model('.'), await model('checkpoint-2'));
  });

  it('says which checkpoints there are', async () => {
    await train('few', '--data', 'data', '--model', 'base', ...step(2), '--save-steps', '1');
    await refuses(
      ['--continue-from', '7', '--out', 'few'],
      /checkpoint-7: there is no such checkpoint; few has those of steps 2 and 1\./,
    );
  });
});
