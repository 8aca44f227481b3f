import { at } from '../../base/arrays.js';

/** The start of a message of a WhatsApp chat. */
export interface Start {
  /** The three numbers of the date, in the order in which they stand. */
  readonly date: readonly [number, number, number];
  /** Seconds since midnight. */
  readonly seconds: number;
  /** Whether the clock has halves of a day. */
  readonly halves: boolean;
  /** Whether it is in brackets, as iOS writes it. */
  readonly ios: boolean;
  /** Who wrote it; undefined for a notice of Android's. */
  readonly speaker: string | undefined;
  /** The message's first line. */
  readonly text: string;
}

const HALF = '[ap]\\.? ?m\\.?|上午|下午|凌晨|早上|中午|晚上|午前|午後|오전|오후|ص|م';
const SEPARATOR = '(?:[./-]|\\. |\\u200f/)';

/**
 * `[31/12/2020, 23:59:59] ` (iOS) or `12/31/20, 11:59 PM - ` (Android). The order of day, month and
 * year, the separators, the word between date and time (`à`, `um`, `klo`) and the clock are the
 * phone's.
 */
const START = new RegExp(
  `^(\\[)?(\\d{1,4})${SEPARATOR}(\\d{1,2})${SEPARATOR}(\\d{1,4})\\.?,? ` +
    `(?:(?!(?:${HALF})[ \\d])\\p{L}{1,4}\\.? )?(?:(${HALF}) ?)?` +
    `(\\d{1,2})[:.](\\d{2})(?:[:.](\\d{2}))?(?: ?(${HALF}))?(?:(?<=^\\[.*)\\] ?| [-–—] )`,
  'iu',
);
const AFTERNOON = /^(?:p|下午|中午|晚上|午後|오후|م)/i;

/** Reads the start of a message; undefined where a line goes on with the message before it. */
export function parseStart(line: string): Start | undefined {
  // The marks of direction at the line's start come and go with the phone's version.
  const bare = line.replace(/^[\u200E\u200F\u202A-\u202E\uFEFF]+/, '');
  const plain = bare.replace(/[\u202F\u00A0]/g, ' ').replace(/[٠-٩۰-۹]/g, asciiDigit);
  const marked = plain.replace(/[\u200E\u200F]/g, '');
  // Marks inside the date would move what follows; such lines are taken without any.
  const readable = START.test(plain) ? plain : marked;
  const found = START.exec(readable);
  if (found === null) return undefined;
  const text = (readable === plain ? bare : marked).slice(found[0].length);
  const half = found[5] ?? found[9];
  const hour = Number(found[6]);
  const hours = half === undefined ? hour : (hour % 12) + (AFTERNOON.test(half) ? 12 : 0);
  const colon = /: |:$/.exec(text);
  return {
    date: [Number(found[2]), Number(found[3]), Number(found[4])],
    seconds: hours * 3600 + Number(found[7]) * 60 + Number(found[8] ?? 0),
    halves: half !== undefined,
    ios: found[1] !== undefined,
    speaker: colon === null ? undefined : nameOf(text.slice(0, colon.index)),
    text: colon === null ? text : text.slice(colon.index + colon[0].length),
  };
}

function nameOf(text: string): string {
  return text.replace(/[\u200E\u200F\u202A-\u202E\u2066-\u2069]/g, '').trim();
}

function asciiDigit(digit: string): string {
  return String(digit.charCodeAt(0) & 15);
}

/** Where year, month and day stand in a date. */
type Order = readonly [number, number, number];

const ORDERS: readonly Order[] = [
  [2, 1, 0],
  [2, 0, 1],
  [0, 1, 2],
];

/**
 * The time of each message in milliseconds. Of the orders of day, month and year in which every
 * date is one, it is the one in which the messages go back in time least often; of equal ones,
 * month before day where the clock has halves of a day, as in the United States.
 */
export function dateReader(starts: readonly Start[]): number[] {
  const dayFirst = !starts.some(({ halves }) => halves);
  const [first, second, third] = ORDERS;
  const orders = [first, second, third].filter((order) => order !== undefined);
  if (!dayFirst) orders.sort((a, b) => Number(b === second) - Number(a === second));
  let best: { readonly steps: number; readonly times: number[] } | undefined;
  for (const order of orders) {
    const times = starts.map((start) => timeOf(start, order));
    const impossible = times.filter(Number.isNaN).length;
    let back = 0;
    for (let index = 1; index < times.length; index++) {
      if (at(times, index) < at(times, index - 1)) back += 1;
    }
    const steps = impossible * starts.length + back;
    if (best === undefined || steps < best.steps) best = { steps, times };
  }
  return (best?.times ?? []).map((time) => (Number.isNaN(time) ? 0 : time));
}

/** The time of a message if its date is written in this order; NaN if it cannot be. */
function timeOf({ date, seconds }: Start, order: Order): number {
  const [year = 0, month = 0, day = 0] = order.map((place) => at(date, place));
  if (month < 1 || month > 12 || day < 1 || day > 31) return NaN;
  if (year >= 100 && year < 1000) return NaN;
  return Date.UTC(year < 100 ? 2000 + year : year, month - 1, day) + seconds * 1000;
}
