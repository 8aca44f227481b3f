import { open } from 'node:fs/promises';
import { UserError, withFileErrors } from '../base/errors.js';

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

/** The most bytes asked for in one read. */
const LARGEST_READ = 1 << 26;

function endsEarly(path: string, size: number, end: number): UserError {
  return new UserError(
    `${path}: the file ends at byte ${size}, before byte ${end}; it is cut short, so get it again.`,
  );
}

/** The bytes of a file. System errors become {@link UserError}s that name it. */
export function fileSource(path: string): ByteSource {
  return (work) =>
    withFileErrors(path, async () => {
      const file = await open(path);
      try {
        const { size } = await file.stat();
        const read = async (position: number, target: Uint8Array): Promise<void> => {
          for (let done = 0; done < target.byteLength;) {
            const length = Math.min(LARGEST_READ, target.byteLength - done);
            const { bytesRead } = await file.read(target, done, length, position + done);
            if (bytesRead === 0) {
              throw endsEarly(path, position + done, position + target.byteLength);
            }
            done += bytesRead;
          }
        };
        return await work({ path, size, read });
      } finally {
        await file.close();
      }
    });
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
