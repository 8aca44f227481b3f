import { at } from '../../base/arrays.js';
import { UserError } from '../../base/errors.js';
import { readLines } from '../../base/files.js';
import type { Importer, Message } from './importer.js';

/**
 * The start of a message: `[31/12/2020, 23:59:59] Name: text` (iOS) or `12/31/20, 11:59 PM - Name:
 * text` (Android). The order of day and month, the separators and the clock are the phone's.
 */
const START =
  /^\[?(\d{1,4})[./-](\d{1,2})[./-](\d{1,4}),? (\d{1,2})[:.](\d{2})(?:[:.](\d{2}))?(?: ?([AaPp])\.? ?[Mm]\.?)?(?:\] | - )(.*)$/;

/** What stands in the place of a photo, a deleted message and the like. */
const PLACEHOLDER =
  /^(?:<(?:Media|attached:).*>|(?:image|video|audio|sticker|GIF|document|Contact card) omitted|This message was deleted\.?|You deleted this message\.?|Missed (?:voice|video) call|null)$/i;

interface Found {
  readonly date: readonly [number, number, number];
  /** Seconds since midnight. */
  readonly seconds: number;
  readonly speaker: string;
  text: string;
}

/** A WhatsApp chat, exported as text ("Export chat", without media). */
export const whatsapp: Importer = {
  description: 'a WhatsApp chat, exported as text (_chat.txt)',
  async *read(path) {
    const found: Found[] = [];
    let afterNotice = false;
    for await (const line of readLines(path)) {
      // Direction marks and narrow spaces come and go with the phone's version.
      const text = line.text.replace(/[\u200E\u200F\u202A-\u202E]/g, '').replace(/\u202F/g, ' ');
      const start = START.exec(text);
      if (start === null) {
        const last = found.at(-1);
        if (last !== undefined && !afterNotice) last.text += `\n${text}`;
        continue;
      }
      const message = parseStart(start);
      afterNotice = message === undefined;
      if (message !== undefined) found.push(message);
    }
    if (found.length === 0) {
      throw new UserError(
        `${path}: no line starts as a WhatsApp message does ("31/12/2020, 23:59 - Name: text"); give the text file of "Export chat".`,
      );
    }
    const dayOf = dateReader(found);
    yield found.flatMap((message): Message[] => {
      if (PLACEHOLDER.test(message.text.trim())) return [];
      const time = dayOf(message.date) + message.seconds * 1000;
      return [{ speaker: message.speaker, text: message.text, time }];
    });
  },
};

/** The message that a line starts, or `undefined` for a notice, which has no speaker. */
function parseStart(start: RegExpExecArray): Found | undefined {
  const [hour, minute, second] = [4, 5, 6].map((group) => Number(start[group] ?? 0));
  const half = start[7]?.toLowerCase();
  const rest = start[8] ?? '';
  const colon = rest.indexOf(': ');
  if (colon < 0) return undefined;
  const hours = half === undefined ? (hour ?? 0) : ((hour ?? 0) % 12) + (half === 'p' ? 12 : 0);
  return {
    date: [Number(start[1]), Number(start[2]), Number(start[3])],
    seconds: hours * 3600 + (minute ?? 0) * 60 + (second ?? 0),
    speaker: rest.slice(0, colon),
    text: rest.slice(colon + 2),
  };
}

/** A reader of dates whose order of year, month and day it tells from the whole chat. */
function dateReader(found: readonly Found[]): (date: Found['date']) => number {
  const yearFirst = found.some(({ date }) => date[0] > 31);
  const monthFirst = !yearFirst && found.some(({ date }) => date[1] > 12);
  const order = yearFirst ? [0, 1, 2] : monthFirst ? [2, 0, 1] : [2, 1, 0];
  return (date) => {
    const [year = 0, month = 1, day = 1] = order.map((place) => at(date, place));
    return Date.UTC(year < 100 ? 2000 + year : year, month - 1, day);
  };
}
