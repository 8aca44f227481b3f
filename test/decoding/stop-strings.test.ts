import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { StopStrings } from '../../src/decoding/index.js';

/** What is shown of a text that comes in these pieces. */
function shown(pieces: readonly string[], stops: readonly string[]): string {
  const watch = new StopStrings(stops);
  let text = '';
  for (const piece of pieces) {
    const { text: part, stopped } = watch.push(piece);
    text += part;
    if (stopped) return text;
  }
  return text + watch.end();
}

describe('StopStrings', () => {
  it('shows a text up to the first of the strings, in whatever pieces it comes', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 6 });
    fc.assert(
      fc.property(
        fc.array(letters, { maxLength: 12 }),
        fc.array(
          letters.filter((string) => string !== ''),
          { maxLength: 4 },
        ),
        (pieces, stops) => {
          const text = pieces.join('');
          // The string that is complete first ends the text; of those, the one that starts first.
          const ends = stops
            .map((stop) => ({ start: text.indexOf(stop), stop }))
            .filter(({ start }) => start !== -1);
          const got = shown(pieces, stops);
          if (ends.length === 0) assert.equal(got, text);
          else {
            assert.ok(text.startsWith(got));
            assert.ok(stops.every((stop) => !got.includes(stop)));
            assert.ok(stops.some((stop) => text.startsWith(stop, got.length)));
          }
        },
      ),
    );
  });

  it('holds back no more than may be the beginning of a string', () => {
    const watch = new StopStrings(['\nUser:']);
    assert.deepEqual(watch.push('Hello\nUs'), { text: 'Hello', stopped: false });
    assert.deepEqual(watch.push('ually'), { text: '\nUsually', stopped: false });
    assert.deepEqual(watch.push('.\nUser: hi'), { text: '.', stopped: true });
    assert.equal(watch.end(), '');
  });
});
