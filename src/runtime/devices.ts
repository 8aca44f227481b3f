/** Where graphs run: the CPU, any GPU through WebGPU, or NVIDIA's through CUDA. */
export const DEVICES = ['cpu', 'webgpu', 'cuda'] as const;

/** One of {@link DEVICES}. */
export type Device = (typeof DEVICES)[number];

/** Whether a device has ONNX Runtime's own fused operators, or needs a graph of standard ones. */
export function hasFusedOperators(device: Device): boolean {
  return device !== 'webgpu';
}
