import assert from 'node:assert/strict';
import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { at, sum } from '../../src/base/arrays.js';
import { UserError } from '../../src/base/errors.js';
import {
  openSafetensors,
  readSafetensorsHeader,
  writeSafetensors,
} from '../../src/checkpoint/safetensors.js';
import { expectedFromPyTorch, valuesOf } from '../support/checkpoints.js';
import { golden, temporaryFolder } from '../support/files.js';

function modelFile(type: string): string {
  return golden('checkpoint', `safetensors-${type}`, 'model.safetensors');
}

/** A safetensors file with this header and as many zero bytes of data. */
async function fileWith(
  context: TestContext,
  header: string | Uint8Array,
  dataBytes: number,
  headerLength?: number,
): Promise<string> {
  const path = join(await temporaryFolder(context), 'x.safetensors');
  const length = Buffer.alloc(8);
  const text = Buffer.from(header);
  length.writeBigUInt64LE(BigInt(headerLength ?? text.length));
  await writeFile(path, Buffer.concat([length, text, Buffer.alloc(dataBytes)]));
  return path;
}

function refuses(path: string, words: RegExp): Promise<void> {
  return assert.rejects(readSafetensorsHeader(path), (error) => {
    assert.ok(error instanceof UserError, String(error));
    assert.match(error.message, words);
    assert.ok(error.message.includes(path));
    return true;
  });
}

const one = (begin: number, end: number): object => ({
  dtype: 'F32',
  shape: [(end - begin) / 4],
  data_offsets: [begin, end],
});

describe('reading safetensors', () => {
  for (const [type, tolerance] of [
    ['f32', 1e-7],
    ['f16', 1e-3],
    ['bf16', 1e-2],
  ] as const) {
    it(`reads the ${type} file that transformers wrote`, async () => {
      const { tensors } = await expectedFromPyTorch();
      const sources = await openSafetensors(modelFile(type));
      assert.deepEqual(
        [...sources.keys()].sort(),
        Object.keys(tensors)
          .filter((name) => name !== 'lm_head.weight')
          .sort(),
      );
      for (const [name, source] of sources) {
        const expected = tensors[name];
        assert.ok(expected);
        assert.deepEqual(source.shape, expected.shape);
        assert.equal(source.dtype, type.toUpperCase());
        const values = await valuesOf(source);
        for (const [index, value] of expected.first.entries()) {
          assert.ok(Math.abs(at(values, index) - value) <= tolerance, `${name}[${index}]`);
        }
        assert.ok(Math.abs(sum(values) - expected.sum) <= tolerance * values.length);
      }
    });
  }

  it('reads into a part of a larger array, and a part of a tensor', async () => {
    for (const type of ['f32', 'f16']) {
      const source = (await openSafetensors(modelFile(type))).get('transformer.wpe.weight');
      assert.ok(source);
      const whole = await valuesOf(source);
      const large = new Float32Array(300).fill(7);
      await source.readInto(large.subarray(11, 11 + 256));
      assert.deepEqual(large.subarray(11, 11 + 256), whole);
      assert.ok([...large.subarray(0, 11), ...large.subarray(267)].every((value) => value === 7));
      const part = new Float32Array(9);
      await source.readInto(part, 33);
      assert.deepEqual(part, whole.subarray(33, 42));
      await assert.rejects(source.readInto(new Float32Array(255)), /has 256 elements where 255/);
      await assert.rejects(source.readInto(new Float32Array(2), 255), /256 elements where 257/);
    }
  });

  it('gives byte ranges counted from the start of the file, and the metadata', async () => {
    const path = modelFile('f32');
    const header = await readSafetensorsHeader(path);
    const bytes = await readFile(path);
    assert.equal(header.fileSize, bytes.length);
    assert.deepEqual([...header.metadata], [['format', 'pt']]);
    for (const [name, source] of await openSafetensors(path)) {
      const entry = header.tensors.get(name);
      assert.ok(entry);
      const raw = bytes.subarray(entry.begin, entry.end);
      assert.deepEqual(Buffer.from((await valuesOf(source)).buffer), raw);
    }
  });

  it('accepts what the reference accepts', async (context) => {
    const accepts = async (header: string, dataBytes: number): Promise<void> => {
      await readSafetensorsHeader(await fileWith(context, header, dataBytes));
    };
    await accepts('{}', 0);
    await accepts('{"__metadata__":null}', 0);
    await accepts('{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}   ', 4);
    await accepts('{"a":{"dtype":"F32","shape":[1],"more":2,"data_offsets":[0,4]}}', 4);
    await accepts('{"a":{"dtype":"F4","shape":[8],"data_offsets":[0,4]}}', 4);
    await accepts(
      JSON.stringify({ b: one(0, 4), a: { dtype: 'I8', shape: [0, 9], data_offsets: [4, 4] } }),
      4,
    );
    await accepts(JSON.stringify({ ['__proto__']: one(0, 4) }), 4);
  });

  it('refuses what the reference refuses, naming the tensor or the byte', async (context) => {
    const refused = async (
      header: string | object,
      dataBytes: number,
      words: RegExp,
    ): Promise<void> =>
      refuses(
        await fileWith(
          context,
          typeof header === 'string' ? header : JSON.stringify(header),
          dataBytes,
        ),
        words,
      );
    await refused({ a: one(0, 4), b: one(8, 12) }, 12, /"b" starts at byte \d+ .* hole/);
    await refused({ a: one(0, 8), b: one(4, 12) }, 12, /"b" starts at byte \d+ .* overlaps/);
    await refused({ a: one(4, 8) }, 8, /"a" .* hole/);
    await refused({ a: one(0, 8) }, 4, /cut short/);
    await refused({ a: one(0, 4) }, 8, /nothing describes the rest/);
    await refused({ a: { ...one(0, 8), shape: [1] } }, 8, /"a" .* takes 4 bytes/);
    await refused({ a: { ...one(0, 8), dtype: 'F16' } }, 8, /takes 4 bytes/);
    await refused({ a: { ...one(0, 8), dtype: 'F33' } }, 8, /unknown element type "F33"/);
    await refused({ a: { ...one(0, 8), dtype: 'toString' } }, 8, /unknown element type/);
    await refused({ a: { ...one(0, 8), data_offsets: [8, 0] } }, 8, /"a"/);
    await refused({ a: { ...one(0, 8), shape: [1.5] } }, 8, /"a" .*\(shape/);
    await refused({ a: { ...one(0, 8), shape: [-2] } }, 8, /"a" .*\(shape/);
    await refused({ a: { ...one(0, 0), shape: Array(9).fill(2 ** 52) } }, 0, /"a"/);
    await refused({ a: { dtype: 'F32', shape: [1] } }, 4, /"a" .*\(data_offsets/);
    await refused({ __metadata__: { a: 1 } }, 0, /__metadata__/);
    await refused('{"a":1,"a":2}', 0, /"a"/);
    const twice = JSON.stringify(one(0, 4));
    await refused(`{"a":${twice},"a":${twice}}`, 4, /"a" twice/);
    await refused('{"a":', 0, /not valid JSON/);
    await refused('{}\0', 0, /not valid JSON/);
    await refused('[]', 0, /JSON object/);
    await refused(' {}', 0, /JSON object/);
    await refuses(await fileWith(context, Uint8Array.of(0x7b, 0xff, 0x7d), 0), /not UTF-8/);
    await refuses(await fileWith(context, '{}', 0, 100_000_001), /over the limit/);
    await refuses(await fileWith(context, '{}', 0, 11), /should end at byte 19/);
    await refuses(await fileWith(context, '{}', 0, 2 ** 53), /over the limit/);
  });

  it('reads beyond 4 GiB', async (context) => {
    const path = join(await temporaryFolder(context), 'large.safetensors');
    const large = 5 * 2 ** 30;
    const header = Buffer.from(
      JSON.stringify({
        large: { dtype: 'U8', shape: [large], data_offsets: [0, large] },
        small: one(large, large + 8),
      }),
    );
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.length));
    const file = await open(path, 'w');
    // The file has a hole, so that it takes no room on the disk.
    await file.write(Buffer.concat([length, header]));
    await file.write(Buffer.from(Float32Array.of(1.5, -2).buffer), 0, 8, 8 + header.length + large);
    await file.close();
    const source = (await openSafetensors(path)).get('small');
    assert.ok(source);
    assert.deepEqual([...(await valuesOf(source))], [1.5, -2]);
  });

  it('refuses a file too short, a missing file and a folder', async (context) => {
    const folder = await temporaryFolder(context);
    const path = join(folder, 'x.safetensors');
    await writeFile(path, 'short');
    await refuses(path, /5 bytes are too few/);
    await refuses(join(folder, 'absent.safetensors'), /no such file/);
    await refuses(folder, /this is a folder/);
  });

  it('refuses to read weights from integers', async (context) => {
    const header = '{"a":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}}';
    const source = (await openSafetensors(await fileWith(context, header, 4))).get('a');
    assert.ok(source);
    await assert.rejects(source.readInto(new Float32Array(1)), /type I32 cannot be read/);
  });
});

describe('writing safetensors', () => {
  for (const type of ['f32', 'f16'] as const) {
    it(`writes the ${type} file of Python's safetensors again, byte for byte`, async (context) => {
      const path = join(await temporaryFolder(context), 'again.safetensors');
      const sources = await openSafetensors(modelFile(type));
      const tensors = await Promise.all(
        Array.from(sources, async ([name, source]) => ({
          name,
          shape: source.shape,
          data: await valuesOf(source),
        })),
      );
      await writeSafetensors(path, tensors.reverse(), type === 'f32' ? 'F32' : 'F16');
      assert.deepEqual(await readFile(path), await readFile(modelFile(type)));
    });
  }

  it('refuses two tensors of one name and leaves nothing behind', async (context) => {
    const path = join(await temporaryFolder(context), 'x.safetensors');
    const tensor = { name: 'a', shape: [1], data: new Float32Array(1) };
    await assert.rejects(writeSafetensors(path, [tensor, tensor]), /two tensors are named "a"/);
    await assert.rejects(readFile(path));
  });
});
