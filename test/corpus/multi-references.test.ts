import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import {
  formatDstc7,
  formatMultiReference,
  parseMultiReference,
  readMultiReferences,
} from '../../src/corpus/multi-reference-lines.js';
import { convertMultiReferences, makeMultiReferences } from '../../src/corpus/multi-references.js';
import { golden, temporaryFolder } from '../support/files.js';

describe('makeMultiReferences', () => {
  it("writes what create-multiref.py and the Makefile's sed write", async (context) => {
    const folder = await temporaryFolder(context);
    const [ids, data] = [join(folder, 'ids.txt'), join(folder, '2018-03.tsv.gz')];
    const conversations = [
      'k1,a,b\tsay “hi” EOS 5|6\thello 7|8 ',
      'k2,a,b\tsay “hi” EOS 5|6\tanother',
      'k3,a,b\tother\tone',
    ];
    await writeFile(data, gzipSync(`${conversations.join('\n')}\n`));
    const lines = [
      'multiref\t10,k1,a,b\t9,k2,a,b\t8,k3,a,b\t7,k4,a,b',
      'multiref\t3,k9,a,b\t2,k1,a,b',
      'multiref\t1,k3,a,b',
    ];
    await writeFile(ids, `${lines.join('\n')}\n`);
    const files = {
      scored: join(folder, 'test.scored_refs.txt'),
      plain: join(folder, 'test.refs.txt'),
      dstc7: join(folder, 'dstc7.txt'),
    };
    assert.deepEqual(await makeMultiReferences(ids, [data], files), {
      contexts: 2,
      references: 3,
      missingContexts: 1,
      missingReferences: 1,
      mismatches: 1,
    });
    // Recorded from the original script and `sed 's/[0-9]\+|//g'`.
    assert.equal(
      await readFile(files.scored, 'utf8'),
      'say "hi" EOS 5|6\t10|hello 7|8\t9|another\nother\t1|one\n',
    );
    assert.equal(
      await readFile(files.plain, 'utf8'),
      'say "hi" EOS 6\thello 8\tanother\nother\tone\n',
    );
    const read = [];
    for await (const line of readMultiReferences(files.dstc7)) read.push(line);
    assert.equal(read.length, 2);
    assert.match(read[0]?.key ?? '', /^[0-9a-f]{56}$/);
    assert.equal(read[0]?.context, undefined);
    assert.deepEqual(read[1]?.references, [{ score: '1', text: 'one' }]);
  });

  it('writes what the original writes for odd conversations and ids', async (context) => {
    const folder = await temporaryFolder(context);
    const files = { scored: join(folder, 'scored'), plain: join(folder, 'plain') };
    const part = (name: string) => golden('corpus', `refs-${name}`);
    const counts = await makeMultiReferences(part('ids.txt'), [part('data.tsv.gz')], files);
    assert.ok(counts.mismatches > 0 && counts.missingReferences > 0);
    for (const [made, name] of [
      [files.scored, 'scored.txt'],
      [files.plain, 'plain.txt'],
    ] as const) {
      assert.equal(await readFile(made, 'utf8'), await readFile(part(name), 'utf8'));
    }
  });

  it('names the line that is not in its format', async (context) => {
    const folder = await temporaryFolder(context);
    const [ids, data] = [join(folder, 'ids.txt'), join(folder, 'data.tsv')];
    const files = { scored: join(folder, 'a'), plain: join(folder, 'b') };
    await writeFile(ids, 'multiref\tnone\n');
    await writeFile(data, 'k\ta\tb\nbroken\n');
    await assert.rejects(makeMultiReferences(ids, [data], files), /ids\.txt:1: expected/);
    await writeFile(ids, 'multiref\t1,k2\n');
    await assert.rejects(makeMultiReferences(ids, [data], files), /data\.tsv:2: expected/);
    await writeFile(data, 'k\ta\tb\n');
    await assert.rejects(makeMultiReferences(ids, [data], files), /none of the references/);
  });

  const key = 'e85fab1206a026117ee3be073e10d4119174bc76fb6df00c21f426b5';

  it('reads and writes every form of a line', () => {
    for (const line of ['a\tb\tc', 'a\t3|b\t-1|c|d', `${key}\t0.5|b\t7|c`]) {
      assert.equal(formatMultiReference(parseMultiReference(line)), line);
    }
    const dstc7 = `${key}\t0.5|b|c\t7|d`;
    assert.equal(formatDstc7(parseMultiReference(dstc7)), dstc7);
    assert.equal(
      formatDstc7(parseMultiReference('hello\tb\t3|c')),
      'ea09ae9cc6768c50fcee903ed054556e5bfc8347907f12598aa24193\t1|b\t3|c',
    );
    assert.throws(() => parseMultiReference('a'));
  });

  it("converts DSTC-7's test.refs in both directions", async (context) => {
    const folder = await temporaryFolder(context);
    const path = (name: string) => join(folder, name);
    const other = key.replaceAll('e', 'a');
    const refs = `${key}\t10|yes\t3|no\n${other}\t1|maybe\n`;
    await writeFile(path('dstc7'), refs);
    await writeFile(path('contexts'), `${key}\tsub\tsay EOS it\n`);
    const files = { scored: path('scored'), plain: path('plain') };
    assert.deepEqual(await convertMultiReferences(path('dstc7'), files, path('contexts')), {
      contexts: 2,
      references: 3,
    });
    assert.equal(
      await readFile(files.scored, 'utf8'),
      `say EOS it\t10|yes\t3|no\n${other}\t1|maybe\n`,
    );
    assert.equal(await readFile(files.plain, 'utf8'), `say EOS it\tyes\tno\n${other}\tmaybe\n`);
    await convertMultiReferences(path('dstc7'), { dstc7: path('again') });
    assert.equal(await readFile(path('again'), 'utf8'), refs);
    await writeFile(path('empty'), '');
    await assert.rejects(convertMultiReferences(path('empty'), files), /empty/);
  });
});
