import koffi from 'koffi';

/** Where numbers lie in this process's memory; another thread of the process may look at them. */
export interface NativeFloats {
  readonly address: bigint;
  readonly length: number;
}

/**
 * Where an array's numbers lie. They stay there as long as the array is reachable, unless it is so
 * small (64 bytes) that the collector moves it.
 */
export function addressOf(values: Float32Array): NativeFloats {
  return { address: koffi.address(values), length: values.length };
}

/**
 * The numbers at an address, not a copy. ONNX Runtime refuses shared buffers, so this is how threads
 * work on one array.
 *
 * Whoever holds the array must keep it until this view is used no more.
 */
export function floatsAt({ address, length }: NativeFloats): Float32Array {
  return new Float32Array(koffi.view(address, length * Float32Array.BYTES_PER_ELEMENT));
}
