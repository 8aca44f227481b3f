import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { UserError } from '../base/errors.js';
import type { Device } from './devices.js';

/** ONNX Runtime's WebGPU provider with its options. */
interface WebgpuProvider {
  readonly name: 'webgpu';
  readonly [option: string]: string;
}

/**
 * ONNX Runtime's WebGPU provider with its options. Ours can be overridden by those in
 * `DIALOGPT_WEBGPU`, written `name=value,name=value`. They belong to the device, which the first
 * session of a process opens.
 */
export function webgpuProvider(): WebgpuProvider {
  const given = (process.env.DIALOGPT_WEBGPU ?? '').split(',').filter((pair) => pair !== '');
  return {
    // Our graphs are tested, and each call that is checked takes longer to make.
    validationMode: 'disabled',
    ...Object.fromEntries(
      given.map((pair) => {
        const [name = '', ...value] = pair.split('=');
        return [name.trim(), value.join('=').trim()];
      }),
    ),
    name: 'webgpu',
  };
}

/** What to do where a device cannot be had. */
const ADVICE: Readonly<Record<Exclude<Device, 'cpu'>, string>> = {
  webgpu:
    "no GPU was found that WebGPU can use; install its Vulkan driver (without a GPU, Debian's chromium-common and libvulkan1, and set VK_ICD_FILENAMES=/usr/lib/chromium/vk_swiftshader_icd.json), or use --device cpu.",
  cuda: "ONNX Runtime's CUDA libraries cannot be loaded; install CUDA 12 with cuDNN 9, run `ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node --ignore-scripts=false`, or use --device cpu.",
};

const PROBE = fileURLToPath(new URL('./device-probe.js', import.meta.url));

const probes = new Map<string, Promise<boolean>>();

/**
 * Makes sure that graphs can run on a device. It is tried in a process of its own: where a driver
 * is missing or broken, the native libraries write to standard error, and some drivers crash.
 *
 * @throws UserError that says what to do if the device cannot be had.
 */
export async function requireDevice(device: Device): Promise<void> {
  if (device === 'cpu' || (await canRun(device, 'float32'))) return;
  throw new UserError(`--device ${device}: ${ADVICE[device]}`);
}

/** Whether a device computes in half precision itself. */
export async function hasHalfPrecision(device: Device): Promise<boolean> {
  return canRun(device, 'float16');
}

async function canRun(device: Device, type: 'float32' | 'float16'): Promise<boolean> {
  const key = `${device} ${type}`;
  const probe = probes.get(key) ?? runProbe(device, type);
  probes.set(key, probe);
  return probe;
}

async function runProbe(device: Device, type: string): Promise<boolean> {
  try {
    await promisify(execFile)(process.execPath, [PROBE, device, type]);
    return true;
  } catch {
    return false;
  }
}
