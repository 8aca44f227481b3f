/** What may be shown of a text that is watched for strings. */
export interface Shown {
  readonly text: string;
  /** Whether one of the strings came; nothing after it is shown. */
  readonly stopped: boolean;
}

/**
 * Shows a text that comes in pieces up to the first of some strings. What may be the beginning of
 * one is held back until it is clear.
 */
export class StopStrings {
  readonly #strings: readonly string[];
  #held = '';

  constructor(strings: readonly string[]) {
    this.#strings = strings.filter((string) => string !== '');
  }

  /** What the next piece lets be shown. */
  push(piece: string): Shown {
    const text = this.#held + piece;
    const places = this.#strings
      .map((string) => text.indexOf(string))
      .filter((place) => place !== -1);
    if (places.length > 0) {
      this.#held = '';
      return { text: text.slice(0, Math.min(...places)), stopped: true };
    }
    let shown = text.length;
    for (const string of this.#strings) {
      let length = Math.min(string.length - 1, text.length);
      while (length > 0 && !text.endsWith(string.slice(0, length))) length -= 1;
      shown = Math.min(shown, text.length - length);
    }
    this.#held = text.slice(shown);
    return { text: text.slice(0, shown), stopped: false };
  }

  /** What was held back, as the text has ended. */
  end(): string {
    const held = this.#held;
    this.#held = '';
    return held;
  }
}
