import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { at, sum } from '../../src/base/arrays.js';
import { UserError } from '../../src/base/errors.js';
import { openTorchFile } from '../../src/checkpoint/torch-file.js';
import { expectedFromPyTorch, valuesOf } from '../support/checkpoints.js';
import { golden, temporaryFolder } from '../support/files.js';

function refuses(path: string, words: RegExp): Promise<void> {
  return assert.rejects(openTorchFile(path), (error) => {
    assert.ok(error instanceof UserError, String(error));
    assert.match(error.message, words);
    return true;
  });
}

describe('reading PyTorch files', () => {
  for (const format of ['zip', 'legacy']) {
    for (const protocol of [2, 3, 4, 5]) {
      it(`reads every layout: ${format} format, pickle protocol ${protocol}`, async () => {
        const { layouts } = await expectedFromPyTorch();
        const path = golden('checkpoint', `layouts-${format}-${protocol}.pt`);
        const sources = await openTorchFile(path);
        assert.deepEqual([...sources.keys()], Object.keys(layouts));
        for (const [name, source] of sources) {
          const expected = layouts[name];
          assert.ok(expected);
          assert.deepEqual(source.shape, expected.shape, name);
          if (['double', 'long', 'bool'].includes(name)) {
            await assert.rejects(valuesOf(source), /weights of type (F64|I64|BOOL) cannot be read/);
          } else {
            assert.deepEqual([...(await valuesOf(source))], expected.values, name);
          }
        }
      });
    }
  }

  it('reads a part of a tensor whose elements lie scattered', async () => {
    const sources = await openTorchFile(golden('checkpoint', 'layouts-zip-2.pt'));
    for (const name of ['transposed', 'columns', 'cube', 'half-transposed', 'half']) {
      const source = sources.get(name);
      assert.ok(source);
      const part = new Float32Array(5);
      await source.readInto(part, 6);
      assert.deepEqual(part, (await valuesOf(source)).subarray(6, 11), name);
    }
  });

  for (const name of [
    'bin/pytorch_model.bin',
    'small_ft.pkl',
    'small_ft.zip.pkl',
    'module.pkl',
    'transformer-only.pkl',
    'updown.pth',
  ]) {
    it(`reads ${name}`, async () => {
      const { tensors } = await expectedFromPyTorch();
      const sources = await openTorchFile(golden('checkpoint', ...name.split('/')));
      let found = 0;
      for (const [given, source] of sources) {
        const plain = given.replace('module.', '').replace('.decoder', '');
        const expected = tensors[plain] ?? tensors[`transformer.${plain}`];
        if (expected === undefined) {
          assert.equal(given, 'score.weight');
          continue;
        }
        found++;
        const values = await valuesOf(source);
        const tolerance = source.dtype === 'F16' ? 1e-3 : 1e-7;
        assert.ok(Math.abs(sum(values) - expected.sum) <= tolerance * values.length, given);
        for (const [index, value] of expected.first.entries()) {
          assert.ok(Math.abs(at(values, index) - value) <= tolerance, given);
        }
      }
      assert.ok(found >= 28);
    });
  }

  it('finds the weights of a training checkpoint and of Python 2', async () => {
    for (const name of ['nested.pt', 'python2.pt']) {
      const sources = await openTorchFile(golden('checkpoint', name));
      assert.deepEqual([...sources.keys()], ['weight']);
    }
  });

  it('refuses what would run code, by name, and runs nothing', async () => {
    for (const name of ['evil-zip.pt', 'evil-legacy.pt']) {
      await refuses(golden('checkpoint', name), /"posix\.system" is not allowed/);
    }
    await refuses(golden('checkpoint', 'module-object.pt'), /"torch\.nn\.[\w.]*Linear" is not/);
    assert.ok(!existsSync('executed'));
  });

  it('refuses files that are cut short, at any byte', async (context) => {
    const path = join(await temporaryFolder(context), 'cut.pt');
    for (const name of ['layouts-zip-2.pt', 'layouts-legacy-2.pt']) {
      const bytes = await readFile(golden('checkpoint', name));
      for (let length = 0; length < bytes.length; length += 97) {
        await writeFile(path, bytes.subarray(0, length));
        await refuses(path, /cut\.pt: /);
      }
    }
  });

  it('refuses a pickle that would fill the memory', async (context) => {
    const path = join(await temporaryFolder(context), 'full.pt');
    const dicts = Buffer.alloc(3_000_000, '}');
    await writeFile(path, Buffer.concat([Buffer.from([0x80, 2]), dicts]));
    await refuses(path, /more than 500000 instructions is not allowed/);
  });

  it('refuses a pickle that hands out the same things again and again', async (context) => {
    const path = join(await temporaryFolder(context), 'bomb.pt');
    const zip = (...parts: (string | readonly number[])[]): Buffer =>
      Buffer.concat(
        parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from(part))),
      );
    const magic = zip(
      [0x80, 2, 0x8a, 10],
      [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19],
      '.',
    );
    const protocol = zip([0x80, 2, 0x4d, 0xe9, 3], '.');
    const system = zip([0x80, 2], '}.');
    // A list of 2,000 pairs, each of them different, is remembered; then an ordered dict is made of
    // it 10,000 times: 20 million entries from some 60 kB.
    const pairs = Array.from({ length: 2000 }, (_, index) => [
      ...[0x4d, index & 255, index >> 8, 0x4e, 0x86],
    ]).flat();
    const list = zip([0x80, 2], '](', pairs, 'e', [0x85, 0x71, 0]);
    const dict = zip('ccollections\nOrderedDict\n', [0x71, 1]);
    const again = Array.from({ length: 10_000 }, () => [0x68, 1, 0x68, 0, 0x52]).flat();
    await writeFile(path, Buffer.concat([magic, protocol, system, list, dict, zip(again, '.')]));
    await refuses(path, /repeats its parts so often is not allowed/);
    // The same of a list that holds itself.
    const self = zip([0x80, 2], ']', [0x71, 0, 0x68, 0], 'a', [0x85, 0x71, 0]);
    await writeFile(path, Buffer.concat([magic, protocol, system, self, dict, zip(again, '.')]));
    await refuses(path, /OrderedDict" is called with wrong values/);
    // A name without end is not repeated in the message.
    const name = zip([0x80, 2], 'c', 'x'.repeat(100_000), '\ny\n.');
    await writeFile(path, Buffer.concat([magic, protocol, system, name]));
    await assert.rejects(openTorchFile(path), (error) => {
      assert.ok(error instanceof UserError && error.message.length < 1000);
      return true;
    });
  });

  it('refuses other files', async (context) => {
    const path = join(await temporaryFolder(context), 'other');
    await writeFile(path, 'a text');
    await refuses(path, /does not start as PyTorch files do/);
    await writeFile(path, '');
    await refuses(path, /does not start as PyTorch files do/);
    await refuses(golden('checkpoint', 'safetensors-f32', 'model.safetensors'), /PyTorch/);
    await refuses(join(path, 'below'), /not a folder/);
  });
});
