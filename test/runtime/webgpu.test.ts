import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { at } from '../../src/base/arrays.js';
import { type RunOptions, start } from '../support/command.js';
import { repository } from '../support/files.js';

/** Where SwiftShader, a GPU in software, is found: in Chromium and Chrome. */
const SOFTWARE_DRIVERS = ['chromium', 'chromium-browser', 'google-chrome']
  .flatMap((name) => [`/usr/lib/${name}`, `/usr/lib64/${name}`, `/opt/google/chrome`])
  .map((folder) => join(folder, 'vk_swiftshader_icd.json'));

const NO_DRIVER = { VK_ICD_FILENAMES: '/nowhere.json', VK_DRIVER_FILES: '/nowhere.json' };

async function probe(
  device: string,
  env: RunOptions['env'],
  type: 'float32' | 'float16' = 'float32',
): Promise<boolean> {
  const file = join(repository, 'dist/src/runtime/device-probe.js');
  const { ended } = start(process.execPath, [file, device, type], { env: env ?? {} });
  return (await ended).code === 0;
}

/** The environment in which there is a WebGPU device; undefined if there is none. */
async function findDevice(): Promise<RunOptions['env'] | undefined> {
  if (await probe('webgpu', {})) return {};
  const driver = SOFTWARE_DRIVERS.find((file) => existsSync(file));
  const env = driver === undefined ? undefined : { VK_ICD_FILENAMES: driver };
  return env !== undefined && (await probe('webgpu', env)) ? env : undefined;
}

const learnedSchema = z.object({
  losses: z.array(z.number()),
  norms: z.array(z.number()),
  held: z.array(z.number()),
  firstMoments: z.array(z.number()),
  secondMoments: z.array(z.number()),
});

const resultSchema = z.object({
  losses: z.array(z.number()),
  gradients: z.array(z.number()),
  replies: z.array(z.array(z.number())),
  logits: z.array(z.number()),
});

async function computeOn(
  device: string,
  env: RunOptions['env'] = {},
): Promise<z.infer<typeof resultSchema>> {
  return resultSchema.parse(await runProgram('compute-on', [device], env));
}

/** What ten steps of training come to. */
async function learnOn(
  device: string,
  learner: 'host' | 'device',
  env: RunOptions['env'] = {},
): Promise<z.infer<typeof learnedSchema>> {
  return learnedSchema.parse(await runProgram('learn-on', [device, learner], env));
}

async function runProgram(
  name: string,
  args: readonly string[],
  env: RunOptions['env'] = {},
): Promise<unknown> {
  const file = join(repository, `dist/test/support/${name}.js`);
  const options = { env, timeout: 300 };
  const { code, stdout, stderr } = await start(process.execPath, [file, ...args], options).ended;
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

function largest(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

function assertClose(actual: readonly number[], expected: readonly number[]): void {
  assert.equal(actual.length, expected.length);
  const difference = largest(actual.map((value, index) => value - at(expected, index)));
  assert.ok(difference <= 1e-5 * largest(expected), `the largest difference is ${difference}`);
}

const device = await findDevice();

describe('WebGPU', { skip: device === undefined && 'needs a GPU, or SwiftShader' }, () => {
  it('computes the losses, gradients and replies that the CPU computes', async () => {
    const [webgpu, cpu] = [await computeOn('webgpu', device), await computeOn('cpu')];
    assertClose(webgpu.losses, cpu.losses);
    assertClose(webgpu.gradients, cpu.gradients);
    assertClose(webgpu.logits, cpu.logits);
    assert.deepEqual(webgpu.replies, cpu.replies);
  });

  it('takes the steps of the CPU with weights that stay there, and goes on from a copy of them', async () => {
    const [webgpu, cpu] = await Promise.all([
      learnOn('webgpu', 'device', device),
      learnOn('cpu', 'host'),
    ]);
    assertClose(webgpu.losses, cpu.losses);
    assertClose(webgpu.norms, cpu.norms);
    assertClose(webgpu.held, cpu.held);
    assertClose(webgpu.firstMoments, cpu.firstMoments);
    assertClose(webgpu.secondMoments, cpu.secondMoments);
  });
});

const half = device !== undefined && (await probe('webgpu', device, 'float16'));

describe('mixed precision', { skip: device === undefined && 'needs a GPU, or SwiftShader' }, () => {
  it('is refused in one sentence by a GPU without half precision, and else near single', async () => {
    const file = join(repository, 'dist/test/support/learn-on.js');
    const args = [file, 'webgpu', 'device', 'fp16'];
    const options = { env: device ?? {}, timeout: 300 };
    const { code, stdout, stderr } = await start(process.execPath, args, options).ended;
    if (!half) {
      assert.equal(code, 1);
      assert.match(stderr, /--fp16: this GPU, or its driver, does not compute in half precision/);
      return;
    }
    const { losses } = learnedSchema.parse(JSON.parse(stdout));
    const single = await learnOn('cpu', 'host');
    for (const [index, loss] of losses.entries()) {
      assert.ok(Math.abs(loss / at(single.losses, index) - 1) < 0.02);
    }
  });
});

describe('a device that cannot be had', () => {
  it('is told apart from one that can', async () => {
    assert.equal(await probe('webgpu', NO_DRIVER), process.platform !== 'linux');
  });
});
