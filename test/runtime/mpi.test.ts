import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { ALONE, joinProcesses } from '../../src/runtime/index.js';
import { launchers, startRanks, withoutMpi } from '../support/mpi.js';

const program = join(dirname(fileURLToPath(import.meta.url)), 'mpi-rank.js');
const answer = z.object({
  rank: z.number(),
  size: z.number(),
  floats: z.array(z.number()),
  doubles: z.array(z.number()),
  given: z.array(z.number()),
});

function sumTo(count: number): number {
  return (count * (count - 1)) / 2;
}

describe('MPI', { skip: withoutMpi }, () => {
  for (const launcher of launchers) {
    for (const size of [1, 2, 4]) {
      it(`sums and spreads values over ${size} processes (${launcher})`, async () => {
        const { code, stdout, stderr } = await startRanks(launcher, size, [program]).ended;
        assert.equal(code, 0, stderr);
        const answers = stdout
          .trim()
          .split('\n')
          .map((line) => answer.parse(JSON.parse(line)));
        assert.deepEqual(answers.map(({ rank }) => rank).sort(), [0, 1, 2, 3].slice(0, size));
        for (const each of answers) {
          assert.equal(each.size, size);
          const ranks = sumTo(size);
          assert.deepEqual(each.floats, [ranks, ranks + 6 * size, ranks + (100_002 % 7) * size]);
          assert.ok(Math.abs((each.doubles[0] ?? 0) - size / 3) < 1e-15);
          assert.ok(Math.abs((each.doubles[1] ?? 0) - ranks * 1e-12) < 1e-26);
          assert.deepEqual(each.given, [42, 42, 42, 42 * size, 42 * size]);
        }
      });
    }

    for (const end of ['die', 'abort']) {
      it(`ends all processes when one ${end}s (${launcher})`, async () => {
        const { code, stderr, stdout } = await startRanks(launcher, 2, [program, end]).ended;
        assert.notEqual(code, 0);
        // On an abort, launchers say more or less of it, as they are just being ended themselves.
        if (end === 'die') assert.match(stderr + stdout, /rank 1|signal 9/);
      });
    }
  }
});

describe('processes without MPI', () => {
  it('are alone', async () => {
    const values = new Float32Array([1, 2]);
    await ALONE.allReduceSum(values);
    await ALONE.broadcast(values);
    await ALONE.barrier();
    assert.deepEqual([...values, ALONE.rank, ALONE.size], [1, 2, 0, 1]);
  });

  it('say what is missing where MPI started them but is not there', () => {
    assert.equal(joinProcesses({}), ALONE);
    const started = { PMI_RANK: '0', PMI_SIZE: '2', DIALOGPT_MPI: '/none/libmpi.so' };
    assert.throws(() => joinProcesses(started), {
      name: 'UserError',
      message:
        'MPI started this process, but its library is not found (/none/libmpi.so); install it, or name its file in the environment variable DIALOGPT_MPI.',
    });
  });
});
