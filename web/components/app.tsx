import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import { rememberKey } from '../api';
import * as state from '../state';
import { Conversation, ConversationComposer } from './conversation';
import { KeyForm } from './key-form';
import { SettingsPanel } from './settings-panel';
import { Sidebar } from './sidebar';

/** The whole page. */
export function App(): JSX.Element {
  useEffect(() => {
    void state.attempt(state.start);
    document.addEventListener('keydown', onKey);
    return () => {
      document.removeEventListener('keydown', onKey);
    };
  }, []);
  const { failure, keyNeeded } = state;
  return (
    <>
      <a class="skip" href="#composer">
        Skip to the message field
      </a>
      <Sidebar />
      <main>
        <Header />
        {failure.value !== undefined && (
          <p class="failure" role="alert">
            {failure.value}
            <button
              type="button"
              class="icon"
              aria-label="Dismiss"
              onClick={() => {
                failure.value = undefined;
              }}
            >
              ×
            </button>
          </p>
        )}
        {keyNeeded.value ? (
          <KeyForm
            onKey={(given) => {
              rememberKey(given);
              void state.attempt(state.start);
            }}
          />
        ) : (
          <Conversation />
        )}
        <ConversationComposer />
      </main>
      <SettingsPanel />
      {state.panel.value !== 'none' && (
        <button
          type="button"
          class="veil"
          aria-label="Back to the conversation"
          onClick={() => {
            state.panel.value = 'none';
          }}
        >
          ×
        </button>
      )}
    </>
  );
}

function onKey(event: KeyboardEvent): void {
  if (event.key === 'Escape') {
    if (state.pending.value !== undefined) state.stop();
    else state.panel.value = 'none';
  } else if (event.key === 'k' && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    state.panel.value = 'conversations';
    document.querySelector<HTMLInputElement>('#search')?.focus();
  } else if (event.key === 'n' && event.altKey) {
    event.preventDefault();
    state.startAnew();
  }
}

function Header(): JSX.Element {
  const conversation = state.current.value?.conversation;
  const toggle = (name: 'conversations' | 'settings', label: string, sign: string) => (
    <button
      type="button"
      class="icon toggle"
      aria-label={label}
      aria-expanded={state.panel.value === name}
      onClick={() => {
        state.panel.value = state.panel.value === name ? 'none' : name;
      }}
    >
      {sign}
    </button>
  );
  return (
    <header>
      {toggle('conversations', 'Conversations', '☰')}
      {conversation === undefined ? (
        <h1>New conversation</h1>
      ) : (
        <input
          key={conversation.id}
          class="heading"
          aria-label="Title"
          value={conversation.title}
          onChange={(event) => {
            const title = event.currentTarget.value.trim();
            if (title !== '') void state.attempt(() => state.update({ title }));
          }}
        />
      )}
      {toggle('settings', 'Settings', '⚙')}
    </header>
  );
}
