/** Shared memory that goes to workers and comes back, so that none is made anew for each block. */
export class SharedBuffers {
  readonly #free: SharedArrayBuffer[] = [];

  /** So many bytes of a buffer that is free and large enough, or of a new one. */
  take(length: number): Uint8Array {
    const found = this.#free.pop();
    // Lengths differ little: one that is too small is left to the garbage collector.
    const fits = found !== undefined && found.byteLength >= length;
    return new Uint8Array(fits ? found : new SharedArrayBuffer(roundUp(length)), 0, length);
  }

  /** Says that what {@link SharedBuffers.take} gave is no longer needed. */
  giveBack({ buffer }: Uint8Array): void {
    if (buffer instanceof SharedArrayBuffer) this.#free.push(buffer);
  }
}

/** Blocks end at line ends; a little more room lets a buffer serve for all of them. */
const STEP = 1 << 17;

function roundUp(length: number): number {
  return Math.ceil(length / STEP + 1) * STEP;
}
