import { at } from '../../base/arrays.js';
import { UserError } from '../../base/errors.js';
import { readLines } from '../../base/files.js';
import type { Importer, Message } from './importer.js';
import { dateReader, parseStart, type Start } from './whatsapp-start.js';

/** What stands in the place of a photo, a deleted message and the like, in several languages. */
const PLACEHOLDER = new RegExp(
  [
    // Android writes what it leaves out in angle brackets, whatever its language.
    '<[^<>\\n]{3,80}>',
    '(?:image|video|audio|sticker|GIF|document|contact card) omitted',
    '(?:this message was|you) deleted(?: this message)?\\.?',
    '(?:diese nachricht wurde|du hast diese nachricht) gelöscht\\.?',
    '(?:se eliminó|eliminaste) este mensaje\\.?',
    '(?:ce message a été supprimé|vous avez supprimé ce message)\\.?',
    '(?:mensagem apagada|essa mensagem foi apagada|você apagou esta mensagem)\\.?',
    '(?:missed|silenced) (?:voice|video|group voice|group video) call.*',
    'waiting for this message.*',
    '(?:live )?location(?: shared|: https?:\\S+)',
    'null',
  ]
    .map((alternative) => `^(?:${alternative})$`)
    .join('|'),
  'i',
);
/** The name of a file and a remark in brackets, which a caption may follow. */
const ATTACHMENT = /^[^\n]{1,100}\.[a-z0-9]{2,5} \([^()\n]{3,40}\)(?:\n|$)/i;
/** What is put after a message that was changed, in whatever language. */
const EDITED = /\s*\u200e<[^<>\n]{3,60}>$/;
const EDITED_ENGLISH = /\s*<This message was edited>$/;
const DIRECTION_MARKS = /[\u200E\u200F\u202A-\u202E\u2066-\u2069]/g;
const LEFT_TO_RIGHT_MARK = '\u200E';

/**
 * A WhatsApp chat, exported as text ("Export chat", with or without media), of Android or iOS and
 * in any of its date formats; notices, deleted messages and media are left out.
 */
export const whatsapp: Importer = {
  description: 'a WhatsApp chat, exported as text (_chat.txt)',
  async *read(path) {
    const found: { readonly start: Start; text: string }[] = [];
    let afterNotice = false;
    for await (const line of readLines(path)) {
      const start = parseStart(line.text);
      const last = found.at(-1);
      if (start === undefined) {
        if (last !== undefined && !afterNotice) last.text += `\n${line.text}`;
        continue;
      }
      // A notice has no speaker. iOS names one, but puts a mark before what nobody wrote.
      afterNotice =
        start.speaker === undefined || (start.ios && start.text.startsWith(LEFT_TO_RIGHT_MARK));
      if (!afterNotice) found.push({ start, text: start.text });
      else if (last === undefined) continue;
    }
    if (found.length === 0) {
      throw new UserError(
        `${path}: no line starts as a WhatsApp message does ("31/12/2020, 23:59 - Name: text"); give the text file of "Export chat".`,
      );
    }
    const timeOf = dateReader(found.map(({ start }) => start));
    yield found.flatMap(({ start, text: written }, index): Message[] => {
      const text = written
        .replace(EDITED, '')
        .replace(DIRECTION_MARKS, '')
        .replace(EDITED_ENGLISH, '')
        .replace(ATTACHMENT, '')
        .trim();
      if (text === '' || PLACEHOLDER.test(text)) return [];
      return [{ speaker: start.speaker ?? '', text, time: at(timeOf, index) }];
    });
  },
};
