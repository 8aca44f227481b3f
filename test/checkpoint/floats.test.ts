import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { at } from '../../src/base/arrays.js';
import { brainToFloat, floatToHalf, halfToFloat } from '../../src/checkpoint/floats.js';

/** The value of a half from the definition of the format, without any bit tricks. */
function halfByDefinition(half: number): number {
  const sign = half >= 0x8000 ? -1 : 1;
  const exponent = Math.floor(half / 1024) % 32;
  const fraction = half % 1024;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const everyHalf = Uint16Array.from({ length: 1 << 16 }, (_, half) => half);

function widened(): Float32Array {
  const floats = new Float32Array(1 << 16);
  halfToFloat(everyHalf, new Uint32Array(floats.buffer));
  return floats;
}

function half(value: number): number {
  const result = new Uint16Array(1);
  floatToHalf(new Uint32Array(Float32Array.of(value).buffer), result);
  return at(result, 0);
}

describe('16-bit floating-point numbers', () => {
  it('widens each of the 65,536 halves to the value that the format defines', () => {
    const floats = widened();
    for (const bits of everyHalf) {
      assert.ok(Object.is(at(floats, bits), halfByDefinition(bits)), `half ${bits.toString(16)}`);
    }
  });

  it('narrows each half that was widened back to itself', () => {
    const back = new Uint16Array(1 << 16);
    floatToHalf(new Uint32Array(widened().buffer), back);
    for (const bits of everyHalf) {
      if (Number.isNaN(halfByDefinition(bits)))
        assert.ok(Number.isNaN(halfByDefinition(at(back, bits))));
      else assert.equal(at(back, bits), bits);
    }
  });

  it('rounds to the nearest half, ties to even', () => {
    for (let bits = 0; bits < 0x7bff; bits++) {
      const low = halfByDefinition(bits);
      const middle = (low + halfByDefinition(bits + 1)) / 2;
      const step = Math.max(middle * 2 ** -22, 2 ** -40);
      assert.equal(half(middle), bits + (bits % 2), `halfway above ${bits}`);
      assert.equal(half(middle - step), bits, `just below halfway above ${bits}`);
      assert.equal(half(middle + step), bits + 1, `just above halfway above ${bits}`);
    }
    assert.equal(half(65519.9), 0x7bff);
    assert.equal(half(65520), 0x7c00);
    assert.equal(half(-1e9), 0xfc00);
    assert.equal(half(-1e-9), 0x8000);
  });

  it('widens bfloat16 by appending sixteen zero bits', () => {
    const floats = new Float32Array(4);
    brainToFloat(Uint16Array.of(0x3f80, 0xbf80, 0x7f80, 0x4049), new Uint32Array(floats.buffer));
    assert.deepEqual([...floats], [1, -1, Infinity, 3.140625]);
  });
});
