import { UserError } from '../base/errors.js';

/** Bytes that are read at any position: those of a file, or of a buffer. */
export interface ByteReader {
  /** The file's path, for messages. */
  readonly path: string;
  /** How many bytes there are. */
  readonly size: number;
  /**
   * Fills `target` with the bytes from `position` on.
   *
   * @throws UserError where they end before.
   */
  readonly read: (position: number, target: Uint8Array) => Promise<void>;
}

/** Where bytes come from: opened for the time of some work, and closed again. */
export type ByteSource = <T>(work: (reader: ByteReader) => Promise<T>) => Promise<T>;

/** Says that bytes end before they should. */
export function endsEarly(path: string, size: number, end: number): UserError {
  return new UserError(
    `${path}: the file ends at byte ${size}, before byte ${end}; it is cut short, so get it again.`,
  );
}

/** Bytes in memory; `path` is what messages call them. */
export function memorySource(path: string, bytes: Uint8Array): ByteSource {
  const read = (position: number, target: Uint8Array): Promise<void> => {
    const end = position + target.byteLength;
    if (end > bytes.byteLength) return Promise.reject(endsEarly(path, bytes.byteLength, end));
    target.set(bytes.subarray(position, end));
    return Promise.resolve();
  };
  return (work) => work({ path, size: bytes.byteLength, read });
}
