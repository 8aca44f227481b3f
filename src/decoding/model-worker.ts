/** The thread behind a {@link DialogModel}: loads the model and serves requests side by side. */
import { parentPort, workerData } from 'node:worker_threads';
import pLimit from 'p-limit';
import { z } from 'zod';
import { UserError } from '../base/errors.js';
import { hasValueHead, loadCheckpoint, loadRanker, openForDecoding } from '../checkpoint/index.js';
import type { SessionOptions } from '../runtime/index.js';
import type { Tokenizer } from '../tokenizer/index.js';
import { OnnxClassifier } from './classifier.js';
import { Decoder } from './decoder.js';
import type { GenerationOptions } from './options.js';
import { END, loadOptionsSchema, type ModelEvent, modelRequest } from './protocol.js';
import { type Reader, SharedDecoder } from './reader.js';
import { type ReplyServices, type RerankerName, streamReply } from './reply.js';
import { Ensemble, MutualInformation, onFirstUse, Ranker, type Reranker } from './rerank.js';
import { failure, type Helpers, Service } from './service.js';
import { loadValueReranker } from './value-reranker.js';

/** Tokens of the reply that a model gives to itself before it is ready. */
const WARM_UP_TOKENS = 4;

/** Replies generated side by side, unless said otherwise. */
const DEFAULT_SLOTS = 8;

const startSchema = z.object({ path: z.string(), options: loadOptionsSchema });

/** What is told of a model that is ready. */
type Info = Omit<Extract<ModelEvent, { type: 'ready' }>, 'type'>;

/** What ranks candidates: loaded at once where somebody named it or each reply needs it. */
async function loadRerankers(
  path: string,
  { reverseModel, ownReverseModel, rankers = [], defaults = {} }: z.infer<typeof loadOptionsSchema>,
  session: SessionOptions,
): Promise<NonNullable<ReplyServices['rerankers']>> {
  const members = [];
  for (const { path: folder, ...member } of rankers) {
    members.push({ ...member, ranker: await Ranker.create(await loadRanker(folder), session) });
  }
  const mmi = async (folder: string) =>
    MutualInformation.create(await loadCheckpoint(folder), session);
  const own = async (name: RerankerName, load: () => Promise<Reranker>) =>
    defaults.rerank === name ? load() : onFirstUse(load);
  return {
    ...(members.length === 0 ? {} : { ranker: new Ensemble(members) }),
    ...(reverseModel === undefined ? {} : { mmi: await mmi(reverseModel) }),
    ...(ownReverseModel === undefined ? {} : { mmi: await own('mmi', () => mmi(ownReverseModel)) }),
    ...((await hasValueHead(path))
      ? { value: await own('value', () => loadValueReranker(path, session)) }
      : {}),
  };
}

/**
 * The first reply is the slowest: ONNX Runtime reserves its memory, what is known of all tokens is
 * gathered, and the engine has compiled nothing yet.
 */
async function warmUp(
  decoder: Reader,
  tokenizer: Tokenizer,
  { numBeams = 1 }: GenerationOptions,
): Promise<void> {
  const options = { numBeams, doSample: true, maxNewTokens: WARM_UP_TOKENS };
  // Of one turn that begins no conversation, so that nothing is taken for known afterwards.
  const reply = streamReply(decoder, tokenizer, ['.'], options);
  while ((await reply.next()).done !== true);
}

async function start(): Promise<Info> {
  const { path, options: loading } = startSchema.parse(workerData);
  const { device, threads, exact = false, dtype, slots = DEFAULT_SLOTS } = loading;
  const { defaults = {} } = loading;
  if (exact && dtype === 'int8') {
    throw new UserError('exact and dtype int8 contradict each other; leave out one.');
  }
  const session: SessionOptions = {
    ...(device === undefined ? {} : { device }),
    ...(threads === undefined ? {} : { threads }),
  };
  const { weights, tokenizer } = await openForDecoding(path, dtype ?? (exact ? 'fp32' : undefined));
  // So that beams of one conversation do not take the place of what is known of another.
  const rows = slots * (defaults.numBeams ?? 1);
  const decoder = new SharedDecoder(
    await Decoder.create(weights, { ...session, exact, slots: rows }),
  );
  const { safetyClassifier } = loading;
  const helpers: Helpers = {
    rerankers: await loadRerankers(path, loading, session),
    ...(safetyClassifier === undefined
      ? {}
      : { classifier: await OnnxClassifier.load(safetyClassifier) }),
  };
  if (loading.warmUp === true) await warmUp(decoder, tokenizer, defaults);
  const limit = pLimit(slots);
  parentPort?.on('message', (message: unknown) => {
    if (message === END) {
      // Nobody waits for what is under way; with it, the thread's last reason to live ends.
      parentPort?.close();
      return;
    }
    const { task, port } = modelRequest(message);
    void limit(() => new Service(decoder, tokenizer, helpers, defaults, port).serve(task));
  });
  return { positions: decoder.config.n_positions, vocabulary: tokenizer.size };
}

try {
  const info = await start();
  const ready: ModelEvent = { type: 'ready', ...info };
  parentPort?.postMessage(ready);
} catch (error) {
  parentPort?.postMessage(failure(error));
}
