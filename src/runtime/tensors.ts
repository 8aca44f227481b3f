import { Tensor as HostTensor } from 'onnxruntime-common';

export { HostTensor };

/** Numbers in memory, by the name of the graph's input or output they belong to. */
export type HostTensors = Readonly<Record<string, HostTensor>>;

/** 32-bit floating-point numbers as a tensor; the memory is shared, not copied. */
export function float32(data: Float32Array, shape: readonly number[]): HostTensor {
  return new HostTensor('float32', data, shape);
}

/** Whole numbers as a 64-bit tensor, the type in which graphs take indices. */
export function int64(values: ArrayLike<number>, shape: readonly number[]): HostTensor {
  const data = new BigInt64Array(values.length);
  for (let index = 0; index < data.length; index++) data[index] = BigInt(values[index] ?? 0);
  return new HostTensor('int64', data, shape);
}

/** Whole numbers as a 32-bit tensor; the memory of an `Int32Array` is shared, not copied. */
export function int32(values: ArrayLike<number>, shape: readonly number[]): HostTensor {
  const data = values instanceof Int32Array ? values : Int32Array.from(values);
  return new HostTensor('int32', data, shape);
}

/** Truth values, 1 or 0 each, as a tensor; the memory is shared, not copied. */
export function boolean(values: Uint8Array, shape: readonly number[]): HostTensor {
  return new HostTensor('bool', values, shape);
}

/** The numbers of a 32-bit floating-point tensor, in place. */
export function floatsOf(tensor: HostTensor | undefined): Float32Array {
  if (tensor?.data instanceof Float32Array) return tensor.data;
  throw new TypeError(`Expected a float32 tensor, got ${tensor?.type ?? 'nothing'}.`);
}
