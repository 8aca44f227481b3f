import { at, range } from '../base/arrays.js';
import type { Checkpoint } from '../checkpoint/index.js';
import type { Dataset } from '../dataset/index.js';
import { Decoder, finishSearch, replySearch, replyText } from '../decoding/index.js';
import { defined } from './arguments.js';

/** The longest sample, in tokens. */
const LONGEST = 40;

/** A reply of the model to a conversation of the data. */
export interface SampleReply {
  /** The turn that it answers. */
  readonly turn: string;
  readonly reply: string;
}

/** The model's likeliest replies to the openings of some conversations, spread over the data. */
export async function sampleReplies(
  { parameters, tokenizer }: Checkpoint,
  dataset: Dataset,
  count: number,
  threads?: number,
): Promise<SampleReply[]> {
  // A decoder remembers what it has read, so that changed weights need another one.
  await using decoder = await Decoder.create(parameters, defined({ threads }));
  const samples: SampleReply[] = [];
  for (const sample of range(0, Math.min(count, dataset.length))) {
    const index = Math.floor((sample * dataset.length) / count);
    const turn = tokenizer.decode(at(dataset.turns(index), 0)).trim();
    const options = { doSample: false, maxNewTokens: LONGEST };
    const search = replySearch(parameters.config.n_positions, tokenizer, [turn], options);
    const [generation] = await finishSearch(decoder, search);
    if (generation !== undefined) samples.push({ turn, reply: replyText(tokenizer, generation) });
  }
  return samples;
}
