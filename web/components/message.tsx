import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import type { Message } from '../api';
import * as state from '../state';

/** A turn, with what can be done about it. */
export function MessageView({ message }: { readonly message: Message }): JSX.Element {
  const editing = useSignal(false);
  const mine = message.role === 'user';
  const busy = state.pending.value !== undefined;
  if (editing.value) {
    return (
      <Editor
        message={message}
        close={() => {
          editing.value = false;
        }}
      />
    );
  }
  return (
    <article class={`message ${message.role}`} aria-label={mine ? 'You' : 'dialogpt'}>
      <p class="content">{message.content}</p>
      {message.interventions.map((intervention, index) => (
        <p key={index} class="intervention">
          {intervention.message}
        </p>
      ))}
      <div class="actions">
        <Branches message={message} />
        <button type="button" onClick={() => void copy(message.content)}>
          Copy
        </button>
        {mine ? (
          <button
            type="button"
            class="edit"
            disabled={busy}
            onClick={() => {
              editing.value = true;
            }}
          >
            Edit
          </button>
        ) : (
          <button
            type="button"
            disabled={busy}
            onClick={() => {
              const { parent } = message;
              if (parent !== null) void state.attempt(() => state.replyTo(parent));
            }}
          >
            Regenerate
          </button>
        )}
      </div>
      {message.candidates.length > 1 && <Candidates message={message} />}
    </article>
  );
}

async function copy(text: string): Promise<void> {
  await state.attempt(() => navigator.clipboard.writeText(text));
}

/** Leads from one branch to the next where several part. */
function Branches({ message }: { readonly message: Message }): JSX.Element | null {
  const all = state.siblings(message);
  if (all.length < 2) return null;
  const place = all.findIndex(({ id }) => id === message.id);
  const step = (to: number, label: string, sign: string) => {
    const target = all[to];
    return (
      <button
        type="button"
        class="icon"
        aria-label={label}
        disabled={target === undefined || state.pending.value !== undefined}
        onClick={() => {
          if (target !== undefined) void state.attempt(() => state.choose(target));
        }}
      >
        {sign}
      </button>
    );
  };
  return (
    <span class="branches">
      {step(place - 1, 'Previous branch', '‹')}
      <span aria-label={`Branch ${place + 1} of ${all.length}`}>
        {place + 1}/{all.length}
      </span>
      {step(place + 1, 'Next branch', '›')}
    </span>
  );
}

/** What else might have been said, with what the rankers say of it. */
function Candidates({ message }: { readonly message: Message }): JSX.Element {
  const names = [...new Set(message.candidates.flatMap(({ scores }) => Object.keys(scores)))];
  return (
    <details class="candidates">
      <summary>{message.candidates.length} candidates</summary>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th scope="col">Reply</th>
              {names.map((name) => (
                <th key={name} scope="col">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {message.candidates.map(({ text, scores }, index) => (
              <tr key={index} data-chosen={text === message.content}>
                <td>{text}</td>
                {names.map((name) => (
                  <td key={name} class="number">
                    {scores[name]?.toFixed(3) ?? ''}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}

/** A turn of the person's that is being written anew: it becomes another branch. */
function Editor({
  message,
  close,
}: {
  readonly message: Message;
  readonly close: () => void;
}): JSX.Element {
  const text = useSignal(message.content);
  const submit = () => {
    close();
    void state.attempt(() => state.say(text.value, message.parent));
  };
  return (
    <form
      class="message user editor"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <textarea
        aria-label="Edit what you said"
        rows={3}
        value={text.value}
        autoFocus
        onInput={(event) => {
          text.value = event.currentTarget.value;
        }}
        onKeyDown={(event) => {
          if (event.key === 'Escape') close();
          if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
            event.preventDefault();
            submit();
          }
        }}
      />
      <div class="actions shown">
        <button type="button" onClick={close}>
          Cancel
        </button>
        <button type="submit" class="primary">
          Send
        </button>
      </div>
    </form>
  );
}
