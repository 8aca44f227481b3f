/** The thread behind a {@link DialogModel}: loads the model and serves one request at a time. */
import { parentPort, workerData } from 'node:worker_threads';
import { z } from 'zod';
import { messageOf, UserError } from '../base/errors.js';
import { loadCheckpoint } from '../checkpoint/index.js';
import { DEVICES } from '../runtime/index.js';
import { Decoder } from './decoder.js';
import { type ModelEvent, type ModelRequest, modelRequest } from './protocol.js';
import { streamReply } from './reply.js';

const startSchema = z.object({
  path: z.string(),
  options: z.object({
    device: z.enum(DEVICES).exactOptional(),
    threads: z.number().exactOptional(),
  }),
});

function failure(error: unknown): ModelEvent {
  return { type: 'failed', message: messageOf(error), user: error instanceof UserError };
}

async function start(): Promise<void> {
  const { path, options } = startSchema.parse(workerData);
  const checkpoint = await loadCheckpoint(path);
  const decoder = await Decoder.create(checkpoint.parameters, options);

  const serve = async ({ history, options, port }: ModelRequest): Promise<void> => {
    let open = true;
    port.once('close', () => {
      open = false;
    });
    const say = (event: ModelEvent) => {
      port.postMessage(event);
    };
    try {
      for await (const text of streamReply(decoder, checkpoint.tokenizer, history, options)) {
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
