import { open } from 'node:fs/promises';
import { withFileErrors } from '../base/errors.js';
import { type ByteSource, endsEarly } from './byte-source.js';

/** The most bytes asked for in one read. */
const LARGEST_READ = 1 << 26;

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
