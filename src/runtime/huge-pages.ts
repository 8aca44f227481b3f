import koffi from 'koffi';
import { open, readFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { at } from '../base/arrays.js';

/** Bytes of a page, of a large page, and of a page's entry in the process's page map. */
const PAGE = 2 ** 12;
const HUGE_PAGE = 2 ** 21;
const ENTRY = 8;

/** How full of pages the place of a large one must be, so that little memory is added. */
const LEAST_SHARE = 0.9;

/** Linux's advice to lay a range on large pages now (`MADV_COLLAPSE`, since Linux 6.1). */
const COLLAPSE = 25;

/** A line of `/proc/self/maps` about memory of the process's own that it may write. */
const OWN_MEMORY = /^([0-9a-f]+)-([0-9a-f]+) rw-p [0-9a-f]+ [0-9a-f:]+ 0(?: |$)/;

/** The addresses where a large page could lie instead of the small ones that are there. */
async function hugePagePlaces(): Promise<number[]> {
  const places: number[] = [];
  const maps = await readFile('/proc/self/maps', 'utf8');
  await using pagemap = await open('/proc/self/pagemap');
  const entries = Buffer.alloc((HUGE_PAGE / PAGE) * ENTRY);
  for (const line of maps.split('\n')) {
    const [, first, last] = OWN_MEMORY.exec(line) ?? [];
    if (first === undefined || last === undefined) continue;
    const start = Math.ceil(parseInt(first, 16) / HUGE_PAGE) * HUGE_PAGE;
    for (let place = start; place + HUGE_PAGE <= parseInt(last, 16); place += HUGE_PAGE) {
      const from = (place / PAGE) * ENTRY;
      const { bytesRead } = await pagemap.read(entries, 0, entries.length, from);
      let present = 0;
      // The highest bit of an entry says whether its page is in memory.
      for (let end = ENTRY - 1; end < bytesRead; end += ENTRY) present += at(entries, end) >> 7;
      if (present >= LEAST_SHARE * (HUGE_PAGE / PAGE)) places.push(place);
    }
  }
  return places;
}

/**
 * Lays the memory that this process has filled on large pages, where Linux can: on small ones a
 * processor that reads weights from end to end stops at every 4 KB.
 *
 * @param background whether to take breaks, and not to keep the program from ending
 * @returns how many bytes lie on large pages now; 0 where there is no such thing
 */
export async function useHugePages({ background = false } = {}): Promise<number> {
  if (process.platform !== 'linux') return 0;
  let bytes = 0;
  try {
    // The program itself holds the C library, whichever it is.
    const madvise = koffi.load(null).func('int madvise(uintptr_t, size_t, int)');
    for (const place of await hugePagePlaces()) {
      const start = performance.now();
      const failed = await new Promise<unknown>((resolve, reject) => {
        madvise.async(place, HUGE_PAGE, COLLAPSE, (error: Error | null, code: unknown) => {
          if (error === null) resolve(code);
          else reject(error);
        });
      });
      if (failed === 0) bytes += HUGE_PAGE;
      // At most half of a processor's time.
      if (background) await setTimeout(performance.now() - start, undefined, { ref: false });
    }
  } catch {
    // A system without page maps, or a program without that function, stays as it is.
  }
  return bytes;
}
