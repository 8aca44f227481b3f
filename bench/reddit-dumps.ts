import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { at } from '../src/base/arrays.js';
import { Random } from '../src/base/random.js';

/**
 * Made-up monthly dumps in pushshift's format, the same for the same seed: threads that grow side
 * by side, with everything the extraction has rules for (links, tags, emoticons, telephone
 * numbers, odd white space, deleted comments, missing submissions, null scores).
 */

const WORDS =
  "the to a and i of you that it is in was for my they on have but with be not this are just like so me we if what he at people all or as there your would can do one about get out when from think up know who really time no because how good don't it's i'm can't that's make want more see than some them their has had will only other even him then now go still way also after could much got been first why going into did over being any her right i've two very something most were she off back where thing too need never didn't sure probably game doesn't last year please actually should best take by here guy work play every always day years us lot few great pretty same new money old better love anything its kind point".split(
    ' ',
  );

const SUBREDDITS = 'AskReddit funny gaming science nfl badsub politics Showerthoughts'.split(' ');

/** What is now and then put after a sentence. */
const SPICES: readonly string[] = [
  ' http://www.example.com/a_b?c=d&amp;e=7',
  ' [link](https://imgur.com/x1y2)',
  ' **bold** *words*',
  ' 😂😂',
  ' ❤️',
  ' naïve Привет',
  ' a\u00a0b\u0085c\u2028d',
  ' “quoted” ‘x’',
  ' :)',
  " :'(",
  ' xD',
  ' D: (:',
  ' badword1 here',
  ' some thing',
  ' WHAT THE HELL',
  ' soooooo goooood!!!!!!!!',
  ' #hashtag @someone /r/funny',
  ' call 555-123-4567 or 1/2 of 3,000.50 at 5:30pm',
  ' bob@example.com',
  ' \\o/ back\\slash\r\nnew',
  ' b/c w/o w/ j/k',
  ' end.Next e.g. www.foo.com',
  ' . . . wait....',
  ' no no no no',
  ' (really) [sic]',
  ' a > b',
];

export interface DumpOptions {
  /** `YYYY-MM`. */
  readonly month: string;
  /** How long the comments' dump is to be, in bytes. */
  readonly commentBytes: number;
  readonly seed: number;
}

interface OpenThread {
  readonly id: string;
  readonly subreddit: string;
  readonly comments: string[];
  left: number;
}

/** How many threads grow side by side. */
const OPEN_THREADS = 300;
const WRITE_LENGTH = 1 << 22;

/** Writes `RS_MONTH` and `RC_MONTH`, plain, into a folder; returns their paths and sizes. */
export async function writeRedditDumps(
  folder: string,
  { month, commentBytes, seed }: DumpOptions,
): Promise<{ submissions: string; comments: string; bytes: number; lines: number }> {
  await mkdir(folder, { recursive: true });
  const submissions = new DumpWriter(join(folder, `RS_${month}`));
  const comments = new DumpWriter(join(folder, `RC_${month}`));
  const maker = new DumpMaker(new Random(seed), Date.parse(`${month}-01T00:00:00Z`) / 1000);
  while (comments.bytes < commentBytes) {
    const { submission, comment } = maker.next();
    if (submission !== undefined) await submissions.write(submission);
    await comments.write(comment);
  }
  await Promise.all([submissions.close(), comments.close()]);
  return {
    submissions: submissions.path,
    comments: comments.path,
    bytes: submissions.bytes + comments.bytes,
    lines: submissions.lines + comments.lines,
  };
}

class DumpWriter {
  readonly path: string;
  bytes = 0;
  lines = 0;
  readonly #stream;
  #pending = '';

  constructor(path: string) {
    this.path = path;
    this.#stream = createWriteStream(path);
  }

  /** Writes an object as pushshift does: one line, nothing but ASCII. */
  async write(value: object): Promise<void> {
    const line = JSON.stringify(value).replace(
      /[\u007f-\uffff]/g,
      (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
    this.bytes += line.length + 1;
    this.lines++;
    this.#pending += `${line}\n`;
    if (this.#pending.length < WRITE_LENGTH) return;
    const pending = this.#pending;
    this.#pending = '';
    if (!this.#stream.write(pending)) {
      await new Promise<void>((resolve) => this.#stream.once('drain', resolve));
    }
  }

  async close(): Promise<void> {
    this.#stream.end(this.#pending);
    await finished(this.#stream);
  }
}

class DumpMaker {
  readonly #random: Random;
  readonly #start: number;
  readonly #open: OpenThread[] = [];
  #submissions = 3e8;
  #comments = 1e10;

  constructor(random: Random, start: number) {
    this.#random = random;
    this.#start = start;
  }

  /** The next comment, and the submission that comes before it if a thread begins. */
  next(): { submission: object | undefined; comment: object } {
    const submission = this.#open.length < OPEN_THREADS ? this.#begin() : undefined;
    const index = this.#random.below(this.#open.length);
    const thread = at(this.#open, index);
    const comment = this.#comment(thread);
    if (--thread.left <= 0) this.#open.splice(index, 1);
    return { submission, comment };
  }

  #chance(share: number): boolean {
    return this.#random.uniform() < share;
  }

  #pick<T extends string | number>(items: readonly T[]): T {
    return at(items, this.#random.below(items.length));
  }

  #sentence(): string {
    const length = 2 + this.#random.below(14) + (this.#chance(0.05) ? this.#random.below(60) : 0);
    const words = Array.from({ length }, () => this.#pick(WORDS)).join(' ');
    return words.charAt(0).toUpperCase() + words.slice(1) + this.#pick(['.', '!', '?', '', ' ...']);
  }

  #body(): string {
    const fate = this.#random.uniform();
    if (fate < 0.045) return '[deleted]';
    if (fate < 0.06) return '[removed]';
    if (fate < 0.065) return this.#pick(['yes', '', 'lol', '\t', 'a\tb', 'a'.repeat(40)]);
    let body = this.#sentence();
    for (let more = this.#random.below(4); more > 0; more--) {
      body += (this.#chance(0.25) ? '\n\n' : ' ') + this.#sentence();
    }
    if (this.#chance(0.06)) body = `&gt;${this.#sentence()}\n\n${body}`;
    for (let more = this.#chance(0.4) ? 1 : 0; more > 0; more--) body += this.#pick(SPICES);
    return body;
  }

  #begin(): object | undefined {
    const id = (++this.#submissions).toString(36);
    const subreddit = this.#pick(SUBREDDITS);
    const left = this.#chance(0.1) ? 1 : Math.ceil(Math.exp(this.#random.uniform() * 5.2));
    this.#open.push({ id, subreddit, comments: [], left });
    const title = this.#sentence() + (this.#chance(0.1) ? this.#pick(SPICES) : '');
    // Some threads began in another month.
    if (this.#chance(0.02)) return undefined;
    return {
      archived: false,
      author: `user${this.#random.below(99999)}`,
      created_utc: this.#start + this.#random.below(2.6e6),
      domain: this.#chance(0.5) ? `self.${subreddit}` : 'i.redd.it',
      edited: false,
      id,
      is_self: true,
      media: null,
      media_embed: {},
      num_comments: left,
      over_18: false,
      permalink: `/r/${subreddit}/comments/${id}/${title
        .toLowerCase()
        .replace(/[^a-z0-9]+/g, '_')
        .slice(0, 50)}/`,
      retrieved_on: this.#start + 3e6,
      score: this.#random.below(500),
      selftext: this.#chance(0.5) ? this.#body() : '',
      subreddit,
      subreddit_id: 't5_2qh1i',
      title: this.#chance(0.01) ? '' : title,
      url: `https://www.reddit.com/r/${subreddit}/comments/${id}/`,
    };
  }

  #comment(thread: OpenThread): object {
    const id = (++this.#comments).toString(36);
    const parent = this.#parent(thread);
    thread.comments.push(id);
    const time = this.#start + (this.#comments - 1e10);
    return {
      author: this.#chance(0.05) ? '[deleted]' : `user${this.#random.below(99999)}`,
      author_flair_css_class: null,
      author_flair_text: this.#chance(0.1) ? `flair ${this.#pick(WORDS)}` : null,
      body: this.#body(),
      can_gild: true,
      controversiality: 0,
      created_utc: time,
      distinguished: null,
      edited: this.#chance(0.05) ? time + 50 : false,
      gilded: 0,
      id,
      is_submitter: this.#chance(0.1),
      link_id: `t3_${thread.id}`,
      parent_id: parent,
      permalink: `/r/${thread.subreddit}/comments/${thread.id}/x/${id}/`,
      retrieved_on: this.#start + 3e6,
      score: this.#chance(0.002) ? null : Math.floor(Math.exp(this.#random.uniform() * 4)) - 2,
      stickied: false,
      subreddit: thread.subreddit,
      subreddit_id: 't5_2qh1i',
      subreddit_type: 'public',
    };
  }

  /** What a comment answers: the submission, or one of the latest comments, or one not there. */
  #parent({ id, comments }: OpenThread): string {
    if (comments.length === 0 || this.#chance(0.3)) return `t3_${id}`;
    if (this.#chance(0.02)) return `t1_${(9e9 + this.#random.below(1e6)).toString(36)}`;
    const back = Math.floor(this.#random.uniform() * this.#random.uniform() * comments.length);
    return `t1_${at(comments, comments.length - 1 - back)}`;
  }
}
