import { batch, computed, signal } from '@preact/signals';
import * as api from './api';
import { BALANCED, generationOptions, type Sampling, settings } from './settings';

/** A reply that is being generated. */
export interface Pending {
  readonly conversation: string;
  /** The turn that is replied to. */
  readonly parent: string;
  readonly text: string;
}

export const capabilities = signal<api.Capabilities>({
  model: '',
  rerankers: [],
  defaults: BALANCED,
});
export const conversations = signal<readonly api.Conversation[]>([]);
export const query = signal('');
export const current = signal<api.WholeConversation | undefined>(undefined);
export const pending = signal<Pending | undefined>(undefined);
export const failure = signal<string | undefined>(undefined);
export const keyNeeded = signal(false);
/** What a narrow screen shows besides the conversation. */
export const panel = signal<'none' | 'conversations' | 'settings'>('none');

let stopPending: AbortController | undefined;

/** The turns of the branch that is shown. */
export const branch = computed<readonly api.Message[]>(() => {
  const whole = current.value;
  if (whole === undefined) return [];
  const byId = new Map(whole.messages.map((message) => [message.id, message]));
  const turns: api.Message[] = [];
  let next = whole.conversation.head;
  while (next !== null && turns.length < byId.size) {
    const message = byId.get(next);
    if (message === undefined) break;
    turns.unshift(message);
    next = message.parent;
  }
  return turns;
});

/** The branches that part where this turn stands, itself among them. */
export function siblings(message: api.Message): readonly api.Message[] {
  return (current.value?.messages ?? []).filter(({ parent }) => parent === message.parent);
}

/** Does something and shows what went wrong, if anything did. */
export async function attempt(action: () => Promise<void>): Promise<void> {
  try {
    failure.value = undefined;
    await action();
  } catch (error) {
    if (error instanceof api.KeyNeededError) keyNeeded.value = true;
    else failure.value = error instanceof Error ? error.message : String(error);
  }
}

let listing = 0;

/** Looks again for conversations that match the query. */
export async function refresh(): Promise<void> {
  const turn = ++listing;
  const found = await api.listConversations(query.value);
  // An answer to an earlier query may come late.
  if (turn === listing) conversations.value = found;
}

/** Starts: finds out what the server can do, and opens what was open. */
export async function start(): Promise<void> {
  capabilities.value = await api.capabilities();
  keyNeeded.value = false;
  await refresh();
  const id = location.hash.slice(1);
  if (conversations.value.some((each) => each.id === id)) await open(id);
}

/** Shows a conversation. */
export async function open(id: string): Promise<void> {
  const whole = await api.openConversation(id);
  batch(() => {
    current.value = whole;
    panel.value = 'none';
  });
  history.replaceState(null, '', `#${id}`);
}

/** Shows an empty conversation, which is kept once something is said. */
export function startAnew(): void {
  stop();
  batch(() => {
    current.value = undefined;
    pending.value = undefined;
    panel.value = 'none';
  });
  history.replaceState(null, '', location.pathname);
}

/** The lines of a persona as they are typed. */
export function personaLines(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

/** What a conversation is about, in the words it began with. */
function titleOf(text: string): string {
  const line = text.trim().replaceAll(/\s+/g, ' ');
  return line.length <= 60 ? line : `${line.slice(0, 57).trimEnd()}…`;
}

/** Persona lines of a conversation that has not begun. */
export const newPersona = signal<readonly string[]>([]);

/** Says something after a turn (by default the last one shown) and asks for the reply. */
export async function say(content: string, parent?: string | null): Promise<void> {
  if (content.trim() === '' || pending.value !== undefined) return;
  if (current.value === undefined) {
    const conversation = await api.createConversation({
      title: titleOf(content),
      persona: [...newPersona.value],
    });
    current.value = { conversation, messages: [] };
    history.replaceState(null, '', `#${conversation.id}`);
  }
  const { conversation, messages } = current.value;
  const after = parent === undefined ? conversation.head : parent;
  const message = await api.say(conversation.id, after, content.trim());
  current.value = {
    conversation: { ...conversation, head: message.id },
    messages: [...messages, message],
  };
  await replyTo(message.id);
}

/** How replies are generated, by the settings and else by the model's own word. */
export function samplingNow(): Sampling {
  return { ...capabilities.value.defaults, ...settings.value.sampling };
}

/** Asks for a reply to a turn; one that is there already becomes another branch. */
export async function replyTo(parent: string): Promise<void> {
  const id = current.value?.conversation.id;
  if (id === undefined || pending.value !== undefined) return;
  const controller = new AbortController();
  stopPending = controller;
  let text = '';
  pending.value = { conversation: id, parent, text };
  showEndingAt(parent);
  try {
    const candidates = samplingNow().numCandidates > 1;
    const body = { parent, candidates, options: generationOptions(settings.value, samplingNow()) };
    for await (const event of api.reply(id, body, controller.signal)) {
      if (event.type === 'piece') {
        text += event.text;
        // What is left goes on no longer, though something of it may still come.
        if (!controller.signal.aborted) pending.value = { conversation: id, parent, text };
      }
    }
  } catch (error) {
    if (!controller.signal.aborted) throw error;
  } finally {
    // What was generated before a stop is kept by the server, a moment after it notices.
    if (controller.signal.aborted) await new Promise((resolve) => setTimeout(resolve, 150));
    let whole = current.value;
    try {
      // It may have been left, or forgotten, meanwhile.
      if (whole?.conversation.id === id) whole = await api.openConversation(id);
    } finally {
      // At once, so that what shows the reply also takes what is said next.
      batch(() => {
        if (current.value?.conversation.id === id) current.value = whole;
        // Another may have begun where this one was left.
        if (stopPending === controller) pending.value = undefined;
      });
    }
    await refresh();
  }
}

/** Ends the reply that is being generated. */
export function stop(): void {
  stopPending?.abort();
}

function showEndingAt(head: string): void {
  const whole = current.value;
  if (whole === undefined) return;
  current.value = { ...whole, conversation: { ...whole.conversation, head } };
}

/** Shows the branch of a turn, down to its last one. */
export async function choose(message: api.Message): Promise<void> {
  const whole = current.value;
  if (whole === undefined) return;
  let head = message.id;
  for (;;) {
    const next = whole.messages.findLast(({ parent }) => parent === head);
    if (next === undefined) break;
    head = next.id;
  }
  await update({ head });
}

/** Changes what is known of the conversation that is shown. */
export async function update(change: Parameters<typeof api.changeConversation>[1]): Promise<void> {
  const whole = current.value;
  if (whole === undefined) return;
  const conversation = await api.changeConversation(whole.conversation.id, change);
  current.value = { ...whole, conversation };
  await refresh();
}

/** Forgets a conversation. */
export async function remove(id: string): Promise<void> {
  // Left first: nobody asks for it, or replies in it, any more.
  if (current.value?.conversation.id === id) startAnew();
  await api.removeConversation(id);
  await refresh();
}

/** Offers the conversation that is shown as a file. */
export async function download(format: 'text' | 'jsonl' | 'json'): Promise<void> {
  const conversation = current.value?.conversation;
  if (conversation === undefined) return;
  const link = document.createElement('a');
  link.href = URL.createObjectURL(await api.exportConversation(conversation.id, format));
  link.download = `${conversation.title.replaceAll(/[^\p{L}\p{N} _-]/gu, '')}.${format === 'text' ? 'txt' : format}`;
  link.click();
  URL.revokeObjectURL(link.href);
}
