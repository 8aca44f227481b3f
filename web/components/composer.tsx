import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';

/** What a page does with what is written in its {@link Composer}. */
export interface ComposerProps {
  /** Whether a reply is under way, which can be stopped. */
  readonly busy: boolean;
  /** Whether something may be said now. */
  readonly ready: boolean;
  /** What the field is focused anew for when it changes, such as another conversation. */
  readonly topic?: string | undefined;
  readonly onSend: (text: string) => void;
  readonly onStop: () => void;
  /** Told of keys that neither send nor write; the text is what stands in the field. */
  readonly onKey?: (key: string, text: string) => void;
}

/** Where one writes. */
export function Composer(props: ComposerProps): JSX.Element {
  const { busy, ready, topic, onSend, onStop, onKey } = props;
  const text = useSignal('');
  const field = useRef<HTMLTextAreaElement>(null);
  // Before the page is painted: later, it would take keys from where one has gone on writing.
  useLayoutEffect(() => {
    const { activeElement } = document;
    const writing =
      activeElement instanceof HTMLInputElement || activeElement instanceof HTMLTextAreaElement;
    if (ready && !writing) field.current?.focus();
  }, [topic, ready]);
  const send = () => {
    const content = text.value;
    if (!ready || content.trim() === '') return;
    text.value = '';
    onSend(content);
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
          } else onKey?.(event.key, text.value);
        }}
      />
      {busy ? (
        <button key="stop" type="button" class="primary" onClick={onStop}>
          Stop
        </button>
      ) : (
        <button
          key="send"
          type="submit"
          class="primary"
          disabled={!ready || text.value.trim() === ''}
        >
          Send
        </button>
      )}
    </form>
  );
}
