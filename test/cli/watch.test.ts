import assert from 'node:assert/strict';
import { readFile, rm, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { z } from 'zod';
import { readJson } from '../../src/base/files.js';
import { textOf } from '../support/streams.js';
import { runCommand, startCommand } from '../support/command.js';
import { makeTinyModel, succeed } from '../support/tiny.js';

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dialogpt-test-'));
  await makeTinyModel(folder);
});
after(() => rm(folder, { recursive: true, force: true }));

const LORA = ['train', '--data', 'data', '--model', 'model', '--lora-rank', '4', '--threads', '1'];

describe('dialogpt train --lora-rank', () => {
  it('trains an adapter that chat and convert take for a model, and goes on with it', async () => {
    const more = ['--lora-target-modules', 'c_attn,mlp.c_proj', '--lora-alpha', '16'];
    await succeed(folder, [...LORA, ...more, '--out', 'adapter', '--num-optim-steps', '3']);
    const config = z
      .looseObject({})
      .parse(await readJson(join(folder, 'adapter', 'adapter_config.json')));
    const { r, lora_alpha, target_modules, fan_in_fan_out, base_model_name_or_path } = config;
    assert.deepEqual(
      { r, lora_alpha, target_modules, fan_in_fan_out, base_model_name_or_path },
      {
        r: 4,
        lora_alpha: 16,
        target_modules: ['c_attn', 'mlp.c_proj'],
        fan_in_fan_out: true,
        base_model_name_or_path: join(folder, 'model'),
      },
    );
    await succeed(folder, ['chat', '--model', 'adapter', '--once'], 'hello\n');
    await succeed(folder, ['convert', 'adapter', 'merged']);
    const info = z.looseObject({ parameters: z.number() });
    const [one, two] = await Promise.all(
      ['merged', 'model'].map(async (name) =>
        info.parse(JSON.parse(await succeed(folder, ['info', name, '--json']))),
      ),
    );
    assert.equal(one?.parameters, two?.parameters);
    const again = ['train', '--continue-from', 'adapter', '--num-optim-steps', '4'];
    await succeed(folder, again);
    const log = await readFile(join(folder, 'adapter', 'step_log.txt'), 'utf8');
    assert.equal(log.trimEnd().split('\n').length, 5);
    const changed = await runCommand([...again, '--lora-rank', '2'], { cwd: folder });
    assert.match(changed.stderr, /The adapter cannot change within a run/);
  });

  it('refuses what makes no sense', async () => {
    const refuse = async (words: readonly string[], message: RegExp) => {
      const { code, stderr } = await runCommand(words, { cwd: folder });
      assert.equal(code, 2, stderr);
      assert.match(stderr, message);
    };
    const data = ['train', '--data', 'data', '--out', 'no'];
    await refuse([...data, '--model', 'model', '--lora-alpha', '3'], /need --lora-rank/);
    await refuse([...data, '--n-layer', '1', '--lora-rank', '3'], /name it with --model/);
    await refuse([...LORA, '--out', 'no', '--lora-target-modules', 'q_proj'], /no "q_proj", only/);
  });
});

describe('dialogpt plot', () => {
  it('writes the curves of runs as SVG and PNG', async () => {
    assert.equal(await succeed(folder, ['plot', 'model']), 'model/curves.svg\nmodel/curves.png\n');
    assert.match(await readFile(join(folder, 'model', 'curves.svg'), 'utf8'), /^<svg/);
    await succeed(folder, ['plot', 'model', 'model/../model', '--out', 'both']);
    const png = await readFile(join(folder, 'both.png'));
    assert.equal(png.subarray(1, 4).toString(), 'PNG');
    const runs = z
      .array(z.object({ run: z.string(), curves: z.record(z.string(), z.array(z.unknown())) }))
      .parse(JSON.parse(await succeed(folder, ['plot', 'model', '--json'])));
    assert.deepEqual([runs[0]?.run, runs[0]?.curves.loss?.length], ['model', 3]);
    const { code, stderr } = await runCommand(['plot', 'data'], { cwd: folder });
    assert.equal(code, 1);
    assert.match(stderr, /there are no logs/);
  });
});

describe('dialogpt train --dashboard', () => {
  it('shows the run on a page, which ends with it', async () => {
    const words = [
      'train',
      '--data',
      'data',
      '--model',
      'model',
      '--out',
      'watched',
      '--threads',
      '1',
    ];
    const { process: child, ended } = startCommand(
      [...words, '--num-optim-steps', '1000000', '--skip-eval', '--dashboard', '0'],
      { cwd: folder },
    );
    let said = '';
    const url = await new Promise<string>((resolve, reject) => {
      child.stderr.on('data', (piece: Buffer) => {
        said += piece.toString();
        const [, found] = /shown at (http:\S+\/)\./.exec(said) ?? [];
        if (found !== undefined) resolve(found);
      });
      child.once('exit', () => {
        reject(new Error(said));
      });
    });
    assert.match(await (await fetch(url)).text(), /watched/);
    const events = await fetch(new URL('events', url));
    let received = '';
    let interrupted = false;
    for await (const piece of textOf(events)) {
      received += piece;
      if (interrupted || !/"step":\d/.test(received)) continue;
      interrupted = true;
      child.kill('SIGINT');
    }
    assert.match(received, /event: end\n/);
    assert.equal((await ended).code, 130);
  });
});
