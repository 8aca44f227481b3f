import { computed, signal } from '@preact/signals';
import { type Device, type GenerationOptions, UserError, WorkerModel } from 'dialogpt/browser';
import * as z from 'zod/mini';
import { chooseDevice } from './device';

/** A turn of the conversation, which is kept nowhere but here. */
export interface Turn {
  readonly role: 'user' | 'assistant';
  readonly text: string;
}

/** How far loading has come. */
export type Stage =
  | { readonly name: 'loading'; readonly loaded: number; readonly total: number | undefined }
  /** All has come; the graph is made ready. */
  | { readonly name: 'preparing' }
  | { readonly name: 'ready' }
  | { readonly name: 'key' }
  | { readonly name: 'failed'; readonly message: string };

export const stage = signal<Stage>({ name: 'loading', loaded: 0, total: undefined });
export const turns = signal<readonly Turn[]>([]);
/** What has been generated of the reply that is under way. */
export const pending = signal<string | undefined>(undefined);
export const failure = signal<string | undefined>(undefined);
export const device = signal<Device>('cpu');
/** Tokens a second of the last reply. */
export const speed = signal<number | undefined>(undefined);
/** How much was loaded, in bytes. */
export const size = signal(0);

export const canReply = computed(() => stage.value.name === 'ready' && pending.value === undefined);

/** Where the key is that the chat page remembers too. */
const KEY = 'dialogpt.key';

const asked = new URLSearchParams(location.search);

/** How replies are generated: `?options={"doSample":false}`, named as in the library. */
function generationOptions(): GenerationOptions {
  const text = asked.get('options');
  return text === null ? {} : optionsSchema.parse(JSON.parse(text));
}

/** Checked where they are used. */
const optionsSchema = z.custom<GenerationOptions>(
  (value: unknown) => typeof value === 'object' && value !== null,
  'options must be a JSON object',
);

let model: WorkerModel | undefined;
let stopping: AbortController | undefined;

/** Threads to compute with: half of the cores, as two share one, where threads can be had. */
function threadCount(): number {
  return crossOriginIsolated ? Math.min(8, Math.ceil(navigator.hardwareConcurrency / 2)) : 1;
}

/** Loads the model that the server has. */
export async function load(): Promise<void> {
  stage.value = { name: 'loading', loaded: 0, total: undefined };
  const key = localStorage.getItem(KEY);
  const headers: Record<string, string> = key === null ? {} : { authorization: `Bearer ${key}` };
  try {
    const answer = await fetch('../api/model/config.json', { headers });
    if (answer.status === 401) {
      stage.value = { name: 'key' };
      return;
    }
    device.value = await chooseDevice(asked.get('device'), await answer.json());
    await loadOn(device.value, headers).catch(async (error: unknown) => {
      // A GPU that is there may still refuse; the processor does not.
      if (device.value === 'cpu' || asked.has('device')) throw error;
      device.value = 'cpu';
      await loadOn('cpu', headers);
    });
    stage.value = { name: 'ready' };
  } catch (error) {
    stage.value = { name: 'failed', message: messageOf(error) };
  }
}

async function loadOn(where: Device, headers: Record<string, string>): Promise<void> {
  const worker = new Worker('worker.js', { type: 'module' });
  try {
    model = await WorkerModel.load(worker, '../api/model/', {
      device: where,
      threads: threadCount(),
      runtimeFiles: 'ort/',
      headers,
      onProgress: ({ loaded, total }) => {
        size.value = loaded;
        stage.value = loaded === total ? { name: 'preparing' } : { name: 'loading', loaded, total };
      },
    });
  } catch (error) {
    worker.terminate();
    throw error;
  }
}

/** Remembers the server's key, and loads. */
export async function useKey(key: string): Promise<void> {
  localStorage.setItem(KEY, key);
  await load();
}

/** Says something and lets the model reply. */
export async function say(text: string): Promise<void> {
  if (!canReply.value || text.trim() === '') return;
  turns.value = [...turns.value, { role: 'user', text: text.trim() }];
  await reply();
}

/** Replies to the last turn, anew if it was replied to. */
export async function reply(): Promise<void> {
  if (model === undefined || !canReply.value) return;
  if (turns.value.at(-1)?.role === 'assistant') turns.value = turns.value.slice(0, -1);
  const history = turns.value.map((turn) => turn.text);
  stopping = new AbortController();
  pending.value = '';
  failure.value = undefined;
  const started = performance.now();
  try {
    const pieces = model.reply(history, {
      ...generationOptions(),
      signal: stopping.signal,
      onSummary: ({ generatedTokens }) => {
        speed.value = (generatedTokens * 1000) / (performance.now() - started);
      },
    });
    for await (const piece of pieces) pending.value += piece;
  } catch (error) {
    failure.value = messageOf(error);
  } finally {
    const text = pending.value;
    if (text !== '') turns.value = [...turns.value, { role: 'assistant', text }];
    pending.value = undefined;
  }
}

/** Ends the reply that is under way. */
export function stop(): void {
  stopping?.abort();
}

/** Forgets the conversation. */
export function startAnew(): void {
  stop();
  turns.value = [];
  failure.value = undefined;
}

function messageOf(error: unknown): string {
  if (error instanceof UserError) return error.message;
  return error instanceof Error ? error.message : String(error);
}
