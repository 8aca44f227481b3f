import { messageOf, UserError } from '../base/errors.js';
import { type BrowserModel, loadModel } from './model.js';
import { STOP, type WorkerEvent, workerRequest, type WorkerTask } from './protocol.js';

/** What a worker sees of itself: its global scope. */
export interface WorkerScope {
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void;
}

/**
 * Makes a worker one that loads models and replies, for {@link WorkerModel}. It is all that the
 * worker's file needs: `answerInWorker(self)`.
 */
export function answerInWorker(scope: WorkerScope): void {
  let model: Promise<BrowserModel> | undefined;
  scope.addEventListener('message', ({ data }) => {
    const request = workerRequest(data);
    if (request === undefined) return;
    const { task, port } = request;
    const stopping = new AbortController();
    port.addEventListener('message', (event: object) => {
      if ('data' in event && event.data === STOP) stopping.abort(new Error('It was stopped.'));
    });
    port.start();
    const say = (event: WorkerEvent): void => {
      port.postMessage(event);
    };
    const work = async (): Promise<void> => {
      if (task.type === 'load') {
        const { signal } = stopping;
        model = loadModel(task.folder, { ...task.options, signal, onProgress: told(say) });
        const { positions, vocabulary } = await model;
        say({ type: 'ready', positions, vocabulary });
      } else if (model === undefined) throw new Error('No model is loaded.');
      else await reply(await model, task, stopping.signal, say);
    };
    work().then(
      () => {
        say({ type: 'done' });
      },
      (error: unknown) => {
        say({ type: 'failed', message: messageOf(error), user: error instanceof UserError });
      },
    );
  });
}

function told(say: (event: WorkerEvent) => void) {
  return ({ loaded, total }: { loaded: number; total: number | undefined }): void => {
    say({ type: 'progress', loaded, ...(total === undefined ? {} : { total }) });
  };
}

async function reply(
  model: BrowserModel,
  { history, options, candidates }: Extract<WorkerTask, { type: 'reply' }>,
  signal: AbortSignal,
  say: (event: WorkerEvent) => void,
): Promise<void> {
  const pieces = model.reply(history, {
    ...options,
    signal,
    onIntervention: (intervention) => {
      say({ type: 'intervention', ...intervention });
    },
    onSummary: (summary) => {
      say({ type: 'summary', ...summary });
    },
    ...(candidates
      ? {
          onCandidates: (all) => {
            const copies = all.map(({ text, scores }) => ({ text, scores: { ...scores } }));
            say({ type: 'candidates', candidates: copies });
          },
        }
      : {}),
  });
  for await (const text of pieces) if (text !== '') say({ type: 'piece', text });
}
