import type { JSX } from 'preact';
import { change, PRESETS, presetName, settings, SLIDERS } from '../settings';
import * as state from '../state';

const RERANKERS = {
  own: 'As the model does',
  none: 'Take the first',
  mmi: 'Mutual information (MMI)',
  ranker: 'DialogRPT rankers',
  value: 'What it thinks of them itself',
} as const;

const THEMES = { system: 'As the device', light: 'Light', dark: 'Dark' } as const;

/** How replies are generated, who speaks, and how the page looks. */
export function SettingsPanel(): JSX.Element {
  const { sampling, rerank, safety, theme } = settings.value;
  const shown = state.samplingNow();
  const choices = ['own', 'none', ...state.capabilities.value.rerankers] as const;
  const preset = presetName(sampling);
  return (
    <aside class="settings" data-open={state.panel.value === 'settings'} aria-label="Settings">
      <fieldset>
        <legend>How it replies</legend>
        <div class="presets" role="group" aria-label="Presets">
          {Object.entries(PRESETS).map(([name, values]) => (
            <button
              key={name}
              type="button"
              aria-pressed={name === preset}
              onClick={() => {
                change({ sampling: values });
              }}
            >
              {name}
            </button>
          ))}
        </div>
        {SLIDERS.map(({ name, label, hint, ...range }) => (
          <div key={name} class="slider">
            <span>
              <label for={`slider-${name}`}>{label}</label>
              <output for={`slider-${name}`}>{shown[name]}</output>
            </span>
            <input
              id={`slider-${name}`}
              type="range"
              {...range}
              value={shown[name]}
              aria-describedby={`hint-${name}`}
              onInput={(event) => {
                const value = event.currentTarget.valueAsNumber;
                change({ sampling: { ...sampling, [name]: value } });
              }}
            />
            <small id={`hint-${name}`}>{hint}</small>
          </div>
        ))}
        {state.capabilities.value.rerankers.length > 0 && (
          <label>
            Choose among candidates
            <select
              value={rerank}
              disabled={shown.numCandidates < 2}
              onChange={(event) => {
                const value = event.currentTarget.value;
                const chosen = choices.find((name) => name === value);
                if (chosen !== undefined) change({ rerank: chosen });
              }}
            >
              {choices.map((name) => (
                <option key={name} value={name}>
                  {RERANKERS[name]}
                </option>
              ))}
            </select>
          </label>
        )}
        <label class="check">
          <input
            type="checkbox"
            checked={safety}
            onChange={(event) => {
              change({ safety: event.currentTarget.checked });
            }}
          />
          Withhold replies with blocked words
        </label>
      </fieldset>
      <Persona />
      <fieldset>
        <legend>Appearance</legend>
        <div class="presets" role="group" aria-label="Theme">
          {(['system', 'light', 'dark'] as const).map((name) => (
            <button
              key={name}
              type="button"
              aria-pressed={name === theme}
              onClick={() => {
                change({ theme: name });
              }}
            >
              {THEMES[name]}
            </button>
          ))}
        </div>
      </fieldset>
      <Export />
      <p class="hint">
        Enter sends, Shift Enter starts a line, Esc stops, ↑ edits what you said last, Ctrl K
        searches, Alt N starts anew.
      </p>
    </aside>
  );
}

/** What the speaker is like: of the conversation that is shown, or of the one to come. */
function Persona(): JSX.Element {
  const known = state.current.value?.conversation;
  const lines = known?.persona ?? state.newPersona.value;
  return (
    <fieldset>
      <legend>Persona</legend>
      <textarea
        key={known?.id}
        rows={4}
        aria-label="Persona, a sentence a line"
        placeholder={'I like to ski.\nI have two cats.'}
        onChange={(event) => {
          const persona = state.personaLines(event.currentTarget.value);
          if (known === undefined) state.newPersona.value = persona;
          else void state.attempt(() => state.update({ persona }));
        }}
      >
        {lines.join('\n')}
      </textarea>
    </fieldset>
  );
}

function Export(): JSX.Element | null {
  if (state.current.value === undefined) return null;
  const formats = { text: 'Text', jsonl: 'Chat JSONL', json: 'Everything (JSON)' } as const;
  return (
    <fieldset>
      <legend>Export</legend>
      <div class="presets">
        {(['text', 'jsonl', 'json'] as const).map((format) => (
          <button
            key={format}
            type="button"
            onClick={() => void state.attempt(() => state.download(format))}
          >
            {formats[format]}
          </button>
        ))}
      </div>
    </fieldset>
  );
}
