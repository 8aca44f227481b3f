import type { Device } from 'dialogpt/browser';
import * as z from 'zod/mini';

/** What this page asks of a GPU's entry in `navigator`, which not all browsers have. */
interface Gpu {
  requestAdapter(): Promise<unknown>;
}

const gpuSchema = z.custom<Gpu>(
  (value: unknown) => typeof value === 'object' && value !== null && 'requestAdapter' in value,
);
const adapterSchema = z.object({ info: z.object({ isFallbackAdapter: z.optional(z.boolean()) }) });
const configSchema = z.object({ quantization: z.optional(z.string()) });

/**
 * Where to compute: what was asked for, or the GPU if there is a real one. 8-bit weights are for
 * the processor: WebGPU has no products of bytes.
 *
 * @param config the model's `config.json`
 */
export async function chooseDevice(asked: string | null, config: unknown): Promise<Device> {
  if (asked === 'cpu' || asked === 'webgpu') return asked;
  if (configSchema.safeParse(config).data?.quantization === 'int8') return 'cpu';
  const gpu = gpuSchema.safeParse(Reflect.get(navigator, 'gpu'));
  if (!gpu.success) return 'cpu';
  try {
    // What only pretends to be a GPU is slower than the processor that it runs on.
    const adapter = adapterSchema.safeParse(await gpu.data.requestAdapter());
    return adapter.success && adapter.data.info.isFallbackAdapter !== true ? 'webgpu' : 'cpu';
  } catch {
    return 'cpu';
  }
}
