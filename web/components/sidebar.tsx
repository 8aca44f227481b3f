import type { JSX } from 'preact';
import * as state from '../state';

/** The conversations that are kept, and the search among them. */
export function Sidebar(): JSX.Element {
  const { attempt, conversations, current, query } = state;
  return (
    <nav
      class="sidebar"
      data-open={state.panel.value === 'conversations'}
      aria-label="Conversations"
    >
      <button class="primary" type="button" onClick={state.startAnew}>
        New conversation
      </button>
      <input
        id="search"
        type="search"
        placeholder="Search (Ctrl K)"
        aria-label="Search conversations"
        value={query.value}
        onInput={(event) => {
          query.value = event.currentTarget.value;
          void attempt(state.refresh);
        }}
      />
      <ul>
        {conversations.value.map(({ id, title, updatedAt }) => (
          <li key={id} data-current={id === current.value?.conversation.id}>
            <button
              type="button"
              class="title"
              aria-current={id === current.value?.conversation.id ? 'true' : undefined}
              onClick={() => void attempt(() => state.open(id))}
            >
              <span>{title}</span>
              <time dateTime={updatedAt}>{new Date(updatedAt).toLocaleDateString()}</time>
            </button>
            <button
              type="button"
              class="icon"
              aria-label={`Delete "${title}"`}
              title="Delete"
              onClick={() => {
                if (confirm(`Delete "${title}"?`)) void attempt(() => state.remove(id));
              }}
            >
              ×
            </button>
          </li>
        ))}
      </ul>
      {conversations.value.length === 0 && (
        <p class="hint">
          {query.value === '' ? 'Conversations will be kept here.' : 'Nothing found.'}
        </p>
      )}
    </nav>
  );
}
