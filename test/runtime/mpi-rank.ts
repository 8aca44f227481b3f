/** One of the processes of `mpi.test.ts`; prints what it has after each operation. */
import { at } from '../../src/base/arrays.js';
import { joinProcesses } from '../../src/runtime/index.js';

await using processes = joinProcesses();
const { rank, size } = processes;

const floats = Float32Array.from({ length: 100_003 }, (_, index) => rank + (index % 7));
const doubles = new Float64Array([1 / 3, rank * 1e-12]);
const given = new Float32Array(5).fill(rank === 0 ? 42 : -1);
// Asked for at once, done one after the other.
await Promise.all([
  processes.allReduceSum(floats),
  processes.allReduceSum(doubles),
  processes.broadcast(given),
  // Half of a buffer: what is beside it must stay as it is.
  processes.allReduceSum(given.subarray(3)),
]);
console.log(
  JSON.stringify({
    rank,
    size,
    floats: [at(floats, 0), at(floats, 6), at(floats, 100_002)],
    doubles: [...doubles],
    given: [...given],
  }),
);
if (process.argv[2] === 'die' && rank === size - 1) process.kill(process.pid, 'SIGKILL');
if (process.argv[2] === 'abort' && rank === size - 1) processes.abort();
await processes.barrier();
