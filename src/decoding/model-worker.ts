/** The thread behind a {@link DialogModel}: loads the model and serves one request at a time. */
import { parentPort, workerData } from 'node:worker_threads';
import { z } from 'zod';
import { messageOf, UserError } from '../base/errors.js';
import { loadCheckpoint, loadRanker } from '../checkpoint/index.js';
import type { SessionOptions } from '../runtime/index.js';
import { Decoder } from './decoder.js';
import { loadOptionsSchema, type ModelEvent, type ModelRequest, modelRequest } from './protocol.js';
import { type ReplyServices, streamReply } from './reply.js';
import { Ensemble, MutualInformation, Ranker } from './rerank.js';

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
  const { device, threads, exact } = loading;
  const session: SessionOptions = {
    ...(device === undefined ? {} : { device }),
    ...(threads === undefined ? {} : { threads }),
  };
  const checkpoint = await loadCheckpoint(path);
  // In a conversation, nothing is compared with what other rows say, and a lone row is fastest.
  const decoder = await Decoder.create(checkpoint.parameters, {
    ...session,
    exact: exact ?? false,
  });
  const rerankers = await loadRerankers(loading, session);

  const serve = async ({ history, options, candidates, port }: ModelRequest): Promise<void> => {
    let open = true;
    port.once('close', () => {
      open = false;
    });
    const say = (event: ModelEvent) => {
      port.postMessage(event);
    };
    const services: ReplyServices = {
      rerankers,
      onIntervention: (intervention) => {
        say({ type: 'intervention', ...intervention });
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
    const { tokenizer } = checkpoint;
    try {
      for await (const text of streamReply(decoder, tokenizer, history, options, services)) {
        if (!isOpen()) break;
        say({ type: 'piece', text });
      }
      say({ type: 'done' });
    } catch (error) {
      say(failure(error));
    }
    function isOpen(): boolean {
      return open;
    }
  };

  let last = Promise.resolve();
  parentPort?.on('message', (message: unknown) => {
    const request = modelRequest(message);
    last = last.then(() => serve(request));
  });
}

try {
  await start();
  const ready: ModelEvent = { type: 'ready' };
  parentPort?.postMessage(ready);
} catch (error) {
  parentPort?.postMessage(failure(error));
}
