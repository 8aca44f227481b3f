/** The thread behind a {@link DialogModel}: loads the model and serves requests side by side. */
import { parentPort, workerData } from 'node:worker_threads';
import pLimit from 'p-limit';
import { z } from 'zod';
import { messageOf, UserError } from '../base/errors.js';
import { loadCheckpoint, loadRanker, openForDecoding } from '../checkpoint/index.js';
import type { SessionOptions } from '../runtime/index.js';
import { OnnxClassifier } from './classifier.js';
import { Decoder } from './decoder.js';
import { loadOptionsSchema, type ModelEvent, type ModelRequest, modelRequest } from './protocol.js';
import { type Reader, SharedDecoder } from './reader.js';
import { type ReplyServices, type ReplySummary, streamReply } from './reply.js';
import { Ensemble, MutualInformation, Ranker } from './rerank.js';

/** Replies generated side by side, unless said otherwise. */
const DEFAULT_SLOTS = 8;

const startSchema = z.object({ path: z.string(), options: loadOptionsSchema });

function failure(error: unknown): ModelEvent {
  return { type: 'failed', message: messageOf(error), user: error instanceof UserError };
}

async function loadRerankers(
  { reverseModel, rankers = [] }: z.infer<typeof loadOptionsSchema>,
  session: SessionOptions,
): Promise<NonNullable<ReplyServices['rerankers']>> {
  const members = [];
  for (const { path, ...member } of rankers) {
    members.push({ ...member, ranker: await Ranker.create(await loadRanker(path), session) });
  }
  return {
    ...(members.length === 0 ? {} : { ranker: new Ensemble(members) }),
    ...(reverseModel === undefined
      ? {}
      : { mmi: await MutualInformation.create(await loadCheckpoint(reverseModel), session) }),
  };
}

async function start(): Promise<void> {
  const { path, options: loading } = startSchema.parse(workerData);
  const { device, threads, exact, dtype = 'fp32' } = loading;
  if (exact === true && dtype === 'int8') {
    throw new UserError('exact and dtype int8 contradict each other; leave out one.');
  }
  const session: SessionOptions = {
    ...(device === undefined ? {} : { device }),
    ...(threads === undefined ? {} : { threads }),
  };
  const { weights, tokenizer } = await openForDecoding(path, dtype);
  const decoder = new SharedDecoder(await Decoder.create(weights, session));
  const rerankers = await loadRerankers(loading, session);
  const { safetyClassifier } = loading;
  const classifier =
    safetyClassifier === undefined ? undefined : await OnnxClassifier.load(safetyClassifier);

  const serve = async ({ history, options, candidates, port }: ModelRequest): Promise<void> => {
    let open = true;
    port.once('close', () => {
      open = false;
    });
    const say = (event: ModelEvent) => {
      port.postMessage(event);
    };
    let summary: ReplySummary | undefined;
    const services: ReplyServices = {
      rerankers,
      ...(classifier === undefined ? {} : { classifier }),
      onIntervention: (intervention) => {
        say({ type: 'intervention', ...intervention });
      },
      onSummary: (told) => {
        summary = told;
      },
      ...(candidates
        ? {
            onCandidates: (all) => {
              const copies = all.map(({ text, scores }) => ({ text, scores: { ...scores } }));
              say({ type: 'candidates', candidates: copies });
            },
          }
        : {}),
    };
    // Nobody waits for the rest of a reply that was given up: it ends before its next token.
    const reader: Reader = {
      config: decoder.config,
      read: (sequences) =>
        open ? decoder.read(sequences) : Promise.reject(new Error('The reply was given up.')),
    };
    try {
      for await (const text of streamReply(reader, tokenizer, history, options, services)) {
        say({ type: 'piece', text });
      }
      if (summary === undefined) throw new Error('The reply ended without a summary.');
      say({ type: 'done', ...summary });
    } catch (error) {
      say(failure(error));
    }
  };

  const limit = pLimit(loading.slots ?? DEFAULT_SLOTS);
  parentPort?.on('message', (message: unknown) => {
    const request = modelRequest(message);
    void limit(() => serve(request));
  });
}

try {
  await start();
  const ready: ModelEvent = { type: 'ready' };
  parentPort?.postMessage(ready);
} catch (error) {
  parentPort?.postMessage(failure(error));
}
