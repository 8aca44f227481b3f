import { type Device, hasHalfPrecision } from '../runtime/index.js';
import type { TrainFlags } from './train-flags.js';

/**
 * Whether to train in half precision: with `--fp16` on a WebGPU device, which must then have it; by
 * the original's default if the device has it.
 *
 * @param notice is told where fp16 was asked for and is not to be had
 */
export async function halfPrecision(
  { fp16, lossScale, trainInputFile }: TrainFlags,
  device: Device,
  notice: (sentence: string) => void,
): Promise<boolean> {
  if (device === 'webgpu') {
    if (fp16 !== undefined || trainInputFile === undefined) return fp16 ?? false;
    const half = await hasHalfPrecision(device);
    if (!half)
      notice('--fp16, which is the default: this GPU has no half precision; it trains in fp32');
    return half;
  }
  if (fp16 === true) {
    notice(
      device === 'cpu'
        ? '--fp16: the CPU trains in fp32'
        : `--fp16: with --device ${device}, training is in fp32`,
    );
  }
  if (lossScale !== undefined && lossScale !== 0) {
    notice('--loss-scale: in fp32 there is nothing to scale');
  }
  return false;
}
