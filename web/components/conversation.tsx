import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import * as state from '../state';
import { Composer } from './composer';
import { MessageView } from './message';

const OPENERS = ['Hello! How are you?', 'What do you do for fun?', 'Seen a good film lately?'];

/** What has been said, and what is being said. */
export function Conversation(): JSX.Element {
  const { branch, current, pending } = state;
  const log = useRef<HTMLDivElement>(null);
  const id = current.value?.conversation.id;
  const text =
    pending.value !== undefined && pending.value.conversation === id
      ? pending.value.text
      : undefined;
  useEffect(() => {
    log.current?.scrollTo({ top: log.current.scrollHeight });
  }, [branch.value.length, text, id]);
  return (
    <div class="log" ref={log}>
      <div role="log" aria-live="polite" aria-label="Messages" aria-busy={text !== undefined}>
        {branch.value.length === 0 && <Welcome />}
        {branch.value.map((message) => (
          <MessageView key={message.id} message={message} />
        ))}
      </div>
      {text !== undefined && (
        <article class="message assistant pending" aria-hidden="true">
          <p class="content">{text === '' ? <span class="dots">…</span> : text}</p>
        </article>
      )}
    </div>
  );
}

function Welcome(): JSX.Element {
  return (
    <section class="welcome">
      <h2>Say something</h2>
      <p>
        {state.capabilities.value.model} answers. It was trained on conversations, knows little of
        the world, and may be wrong or rude.
      </p>
      <div class="openers">
        {OPENERS.map((opener) => (
          <button
            key={opener}
            type="button"
            onClick={() => void state.attempt(() => state.say(opener))}
          >
            {opener}
          </button>
        ))}
      </div>
    </section>
  );
}

/** Where one writes in the conversation that is open. */
export function ConversationComposer(): JSX.Element {
  const busy = state.pending.value !== undefined;
  return (
    <Composer
      busy={busy}
      ready={!busy}
      topic={state.current.value?.conversation.id}
      onSend={(text) => void state.attempt(() => state.say(text))}
      onStop={state.stop}
      onKey={(key, text) => {
        if (key !== 'ArrowUp' || text !== '') return;
        const edits = document.querySelectorAll<HTMLButtonElement>('.message.user .edit');
        [...edits].at(-1)?.click();
      }}
    />
  );
}
