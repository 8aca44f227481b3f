import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import * as state from '../state';
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

/** Where one writes. */
export function Composer(): JSX.Element {
  const text = useSignal('');
  const field = useRef<HTMLTextAreaElement>(null);
  const id = state.current.value?.conversation.id;
  const busy = state.pending.value !== undefined;
  useEffect(() => {
    field.current?.focus();
  }, [id, busy]);
  const send = () => {
    const content = text.value;
    if (content.trim() === '' || busy) return;
    text.value = '';
    void state.attempt(() => state.say(content));
  };
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <textarea
        id="composer"
        ref={field}
        rows={1}
        placeholder="Write a message"
        aria-label="Message"
        value={text.value}
        onInput={(event) => {
          text.value = event.currentTarget.value;
        }}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
            event.preventDefault();
            send();
          } else if (event.key === 'ArrowUp' && text.value === '') {
            const edits = document.querySelectorAll<HTMLButtonElement>('.message.user .edit');
            [...edits].at(-1)?.click();
          }
        }}
      />
      {busy ? (
        <button key="stop" type="button" class="primary" onClick={state.stop}>
          Stop
        </button>
      ) : (
        <button key="send" type="submit" class="primary" disabled={text.value.trim() === ''}>
          Send
        </button>
      )}
    </form>
  );
}
