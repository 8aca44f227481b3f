import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { Composer } from '../components/composer';
import { KeyForm } from '../components/key-form';
import * as state from './state';

const OPENERS = ['Hello! How are you?', 'What do you do for fun?', 'Seen a good film lately?'];

/** The whole page. */
export function App(): JSX.Element {
  useEffect(() => {
    void state.load();
  }, []);
  const { failure, stage, turns } = state;
  return (
    <main class="alone">
      <a class="skip" href="#composer">
        Skip to the message field
      </a>
      <header>
        <h1>dialogpt in this browser</h1>
        {turns.value.length > 0 && (
          <button type="button" onClick={state.startAnew}>
            New conversation
          </button>
        )}
      </header>
      <p class="state" role="status">
        <State />
      </p>
      {failure.value !== undefined && (
        <p class="failure" role="alert">
          {failure.value}
        </p>
      )}
      {stage.value.name === 'key' ? (
        <KeyForm
          onKey={(given) => {
            void state.useKey(given);
          }}
        />
      ) : (
        <Log />
      )}
      <Composer
        busy={state.pending.value !== undefined}
        ready={state.canReply.value}
        onSend={(text) => void state.say(text)}
        onStop={state.stop}
        onKey={(key) => {
          if (key === 'Escape') state.stop();
        }}
      />
    </main>
  );
}

/** Where the model is: on its way, here, or nowhere. */
function State(): JSX.Element {
  const { device, size, speed, stage } = state;
  switch (stage.value.name) {
    case 'loading': {
      const { loaded, total } = stage.value;
      return (
        <>
          <span>
            Loading the model
            {loaded > 0 &&
              `: ${megabytes(loaded)}${total === undefined ? '' : ` of ${megabytes(total)}`}`}
          </span>
          <progress aria-label="Loading" max={1} {...(total ? { value: loaded / total } : {})} />
        </>
      );
    }
    case 'preparing':
      return (
        <>
          <span>Making it ready</span>
          <progress aria-label="Making it ready" />
        </>
      );
    case 'ready':
      return (
        <>
          <span class="ready">
            Everything is here ({megabytes(size.value)}): nothing that you say leaves this browser.
          </span>
          <span>
            {device.value === 'webgpu' ? 'WebGPU' : 'WebAssembly'}
            {speed.value !== undefined && `, ${speed.value.toFixed(0)} tokens/s`}
          </span>
        </>
      );
    case 'key':
      return <span>The server gives out its model to those who have its key.</span>;
    case 'failed':
      return (
        <>
          <span class="broken">{stage.value.message}</span>
          <button type="button" onClick={() => void state.load()}>
            Try again
          </button>
        </>
      );
  }
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}

/** What has been said, and what is being said. */
function Log(): JSX.Element {
  const { canReply, pending, turns } = state;
  const log = useRef<HTMLDivElement>(null);
  useEffect(() => {
    log.current?.scrollTo({ top: log.current.scrollHeight });
  }, [turns.value.length, pending.value]);
  return (
    <div class="log" ref={log}>
      <div role="log" aria-live="polite" aria-label="Messages">
        {turns.value.length === 0 && (
          <section class="welcome">
            <h2>Say something</h2>
            <p>
              The model computes on this device. It was trained on conversations, knows little of
              the world, and may be wrong or rude.
            </p>
            <div class="openers">
              {OPENERS.map((opener) => (
                <button
                  key={opener}
                  type="button"
                  disabled={!canReply.value}
                  onClick={() => void state.say(opener)}
                >
                  {opener}
                </button>
              ))}
            </div>
          </section>
        )}
        {turns.value.map(({ role, text }, index) => (
          <article
            key={index}
            class={`message ${role}`}
            aria-label={role === 'user' ? 'You' : 'dialogpt'}
          >
            <p class="content">{text}</p>
          </article>
        ))}
      </div>
      {pending.value !== undefined && (
        <article class="message assistant pending" aria-hidden="true">
          <p class="content">
            {pending.value === '' ? <span class="dots">…</span> : pending.value}
          </p>
        </article>
      )}
      {canReply.value && turns.value.at(-1)?.role === 'assistant' && (
        <div class="actions shown">
          <button type="button" onClick={() => void state.reply()}>
            Regenerate
          </button>
        </div>
      )}
    </div>
  );
}
