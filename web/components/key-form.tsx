import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';

/** Asks for the API key, where the server wants one. */
export function KeyForm({ onKey }: { readonly onKey: (key: string) => void }): JSX.Element {
  const key = useSignal('');
  return (
    <form
      class="key"
      onSubmit={(event) => {
        event.preventDefault();
        onKey(key.value.trim());
      }}
    >
      <label>
        This server asks for its API key
        <input
          type="password"
          autocomplete="current-password"
          value={key.value}
          onInput={(event) => {
            key.value = event.currentTarget.value;
          }}
        />
      </label>
      <button type="submit" class="primary">
        Enter
      </button>
    </form>
  );
}
