/**
 * A program for `fuzz.test.ts`: reads mutated files, and prints what became of them and how much
 * memory it took. Its arguments are a file under `test/golden/checkpoint/` and how many times.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { at } from '../../src/base/arrays.js';
import { UserError } from '../../src/base/errors.js';
import { Random } from '../../src/base/random.js';
import { memorySource } from '../../src/checkpoint/byte-source.js';
import { safetensorsFrom } from '../../src/checkpoint/safetensors-format.js';
import {
  elementCount,
  isFloatType,
  type TensorSource,
} from '../../src/checkpoint/tensor-source.js';
import { torchTensorsFrom } from '../../src/checkpoint/torch-file.js';
import { golden } from './files.js';

/** Bytes that mean something to a parser: brackets, digits, pickle instructions, extremes. */
const telling = Buffer.from(
  '{}[]",:0919-eE.\\()tRQqh}]uX\x80\x93\x94\x8a\x00\x01\x7f\xff',
  'latin1',
);

/** Damages a copy of `original` in one to three places. */
function mutate(original: Buffer, random: Random): Buffer {
  let bytes = Buffer.from(original);
  for (let times = 1 + random.below(3); times > 0 && bytes.length > 0; times--) {
    const place = random.below(bytes.length);
    const length = 1 + random.below(Math.min(16, bytes.length - place));
    switch (random.below(7)) {
      case 0:
        bytes[place] = at(bytes, place) ^ (1 << random.below(8));
        break;
      case 1:
        bytes[place] = at(telling, random.below(telling.length));
        break;
      case 2:
        bytes = bytes.subarray(0, place);
        break;
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, place), bytes.subarray(place + length)]);
        break;
      case 4: {
        const from = random.below(bytes.length);
        const inserted = bytes.subarray(from, from + length);
        bytes = Buffer.concat([bytes.subarray(0, place), inserted, bytes.subarray(place)]);
        break;
      }
      case 5:
        bytes.fill(random.below(2) === 0 ? 0 : 0xff, place, place + length);
        break;
      default:
        bytes.copyWithin(place, random.below(bytes.length), bytes.length);
    }
  }
  return bytes;
}

/** Reads every tensor of weights, and checks that the file is large enough to hold it. */
async function readAll(sources: ReadonlyMap<string, TensorSource>, size: number): Promise<void> {
  for (const { dtype, shape, readInto } of sources.values()) {
    if (!isFloatType(dtype)) continue;
    const count = elementCount(shape);
    assert.ok(count * 2 <= size, `${count} elements from ${size} bytes`);
    await readInto(new Float32Array(count));
  }
}

const [file = '', times = '0'] = process.argv.slice(2);
const open = file.endsWith('.safetensors') ? safetensorsFrom : torchTensorsFrom;
const original = await readFile(golden('checkpoint', file));
const outcomes = { read: 0, refused: 0 };
const megabytes = (): number => process.resourceUsage().maxRSS / 1024;
let before = 0;
for (let round = 0; round < Number(times); round++) {
  // What the program itself takes is taken by now.
  if (round === 500) before = megabytes();
  const bytes = mutate(original, new Random(round));
  try {
    await readAll(await open(memorySource('mutated', bytes)), bytes.length);
    outcomes.read++;
  } catch (error) {
    if (!(error instanceof UserError)) {
      throw new Error(`round ${round} of ${file} ends in no clean error`, { cause: error });
    }
    assert.ok(error.message.startsWith('mutated: '), error.message);
    outcomes.refused++;
  }
}
console.log(JSON.stringify({ ...outcomes, grown: megabytes() - before }));
