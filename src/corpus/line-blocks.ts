/** A run of whole lines, without the last one's line end. */
export interface LineBlock<Bytes extends Uint8Array> {
  readonly bytes: Bytes;
  /** Lines before this block that were longer than allowed and left out. */
  readonly tooLong: number;
}

const LINE_FEED = 10;

/**
 * Cuts a stream of bytes at line ends into blocks of about `blockLength` bytes, each in a buffer of
 * its own, from `allocate`, that can be handed to a worker. A line longer than `longestLine` bytes is left out and
 * counted, so that a file without line ends cannot fill the memory.
 */
export async function* cutIntoLineBlocks<Bytes extends Uint8Array>(
  pieces: AsyncIterable<Uint8Array>,
  blockLength: number,
  longestLine: number,
  allocate: (length: number) => Bytes,
): AsyncGenerator<LineBlock<Bytes>, void, undefined> {
  let pending: Uint8Array[] = [];
  let pendingLength = 0;
  let tooLong = 0;
  let skipping = false;
  const take = (): LineBlock<Bytes> => {
    const bytes = allocate(pendingLength);
    let offset = 0;
    for (const piece of pending) {
      bytes.set(piece, offset);
      offset += piece.length;
    }
    const block = { bytes, tooLong };
    pending = [];
    pendingLength = 0;
    tooLong = 0;
    return block;
  };
  const keep = (piece: Uint8Array): void => {
    if (piece.length === 0) return;
    pending.push(piece);
    pendingLength += piece.length;
  };
  for await (let piece of pieces) {
    if (skipping) {
      const end = piece.indexOf(LINE_FEED);
      if (end < 0) continue;
      piece = piece.subarray(end + 1);
      skipping = false;
    }
    if (pendingLength + piece.length < blockLength) {
      keep(piece);
      continue;
    }
    const end = piece.lastIndexOf(LINE_FEED);
    if (end >= 0) {
      keep(piece.subarray(0, end));
      if (pendingLength > 0) yield take();
      piece = piece.subarray(end + 1);
    }
    if (pendingLength + piece.length > longestLine) {
      // Whole lines before the long one, if any, were held back only for want of a full block.
      const { bytes } = take();
      const last = bytes.lastIndexOf(LINE_FEED);
      if (last > 0) {
        const lines = allocate(last);
        lines.set(bytes.subarray(0, last));
        yield { bytes: lines, tooLong };
      }
      tooLong++;
      skipping = true;
    } else {
      keep(piece);
    }
  }
  if (pendingLength > 0 || tooLong > 0) yield take();
}
