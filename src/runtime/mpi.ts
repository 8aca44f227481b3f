import koffi from 'koffi';
import { UserError } from '../base/errors.js';
import { readRank } from '../base/rank.js';

/** What can be summed over all processes. */
export type Summable = Float32Array | Float64Array;

/** The processes that compute together, seen from one of them. */
export interface Communicator {
  /** From 0. */
  readonly rank: number;
  readonly size: number;
  /** Replaces the values, element by element, by their sums over all ranks; off the event loop. */
  allReduceSum(values: Summable): Promise<void>;
  /** Replaces the values by those of rank 0. */
  broadcast(values: Float32Array): Promise<void>;
  /** Waits until every rank has come here. */
  barrier(): Promise<void>;
  /** Ends all ranks at once, after one of them failed. */
  abort(): void;
  /** Leaves the others, once all are done. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** A process by itself. */
export const ALONE: Communicator = {
  rank: 0,
  size: 1,
  allReduceSum: () => Promise.resolve(),
  broadcast: () => Promise.resolve(),
  barrier: () => Promise.resolve(),
  abort: () => undefined,
  [Symbol.asyncDispose]: () => Promise.resolve(),
};

/** `MPI_THREAD_SERIALIZED`: calls come from several threads, one at a time. */
const THREAD_SERIALIZED = 2;

/** One call carries at most this many elements: MPI counts in 32 bits. */
const LARGEST_COUNT = 2 ** 30;

/** What the values of `mpi.h` are that a program written in C has compiled in. */
interface Constants {
  /** The C type of handles. */
  readonly handle: 'void *' | 'int';
  readonly world: Handle;
  readonly float32: Handle;
  readonly float64: Handle;
  readonly sum: Handle;
  readonly inPlace: number;
}

/** A handle: an address in Open MPI, a number in MPICH. */
type Handle = bigint | number;

type Library = ReturnType<typeof koffi.load>;

/**
 * Open MPI's handles are the addresses of its objects; MPICH and its kin (Intel MPI, MVAPICH) have
 * fixed numbers, which their common ABI keeps.
 */
function constantsOf(library: Library): Constants {
  try {
    const address = (name: string): bigint => koffi.address(library.symbol(name));
    return {
      handle: 'void *',
      world: address('ompi_mpi_comm_world'),
      float32: address('ompi_mpi_float'),
      float64: address('ompi_mpi_double'),
      sum: address('ompi_mpi_op_sum'),
      inPlace: 1,
    };
  } catch {
    return {
      handle: 'int',
      world: 0x44000000,
      float32: 0x4c00040a,
      float64: 0x4c00080b,
      sum: 0x58000003,
      inPlace: -1,
    };
  }
}

/**
 * Joins the processes that `mpirun` or `srun` started; without them, this one is {@link ALONE}.
 *
 * The launcher's environment says whether it is Open MPI's or MPICH's; its library is loaded at run
 * time. `DIALOGPT_MPI` names another file.
 *
 * @throws UserError if there are several processes, but no library that joins them.
 */
export function joinProcesses(environment: NodeJS.ProcessEnv = process.env): Communicator {
  const { rank, size } = readRank(environment);
  if (size === 1) return ALONE;
  // UCX, on which MPICH may stand, would watch the memory and the signals of the whole program,
  // which are V8's business.
  process.env.UCX_MEM_EVENTS ??= 'no';
  process.env.UCX_ERROR_SIGNALS ??= '';
  // MPICH needs more stack than an asynchronous call has by default.
  koffi.config({ async_stack_size: 16 << 20 });
  const { library, file } = loadLibrary(environment);
  const processes = new MpiCommunicator(library);
  if (processes.rank !== rank || processes.size !== size) {
    const slurm =
      environment.SLURM_PROCID === undefined
        ? ''
        : ', or start it with srun --mpi=pmi2 (MPICH) or --mpi=pmix (Open MPI)';
    throw new UserError(
      `The launcher says that this is process ${rank} of ${size}, but ${file} says ${processes.rank} of ${processes.size}; name the launcher's own library in the environment variable DIALOGPT_MPI${slurm}.`,
    );
  }
  return processes;
}

function loadLibrary(environment: NodeJS.ProcessEnv): {
  readonly library: Library;
  readonly file: string;
} {
  const named = environment.DIALOGPT_MPI;
  const candidates = named === undefined ? usualFiles(environment) : [named];
  for (const file of candidates) {
    try {
      // Open MPI's own plug-ins look for its symbols among the global ones.
      return { library: koffi.load(file, { global: true }), file };
    } catch {
      // The next one may be there.
    }
  }
  throw new UserError(
    `MPI started this process, but its library is not found (${candidates.join(', ')}); install it, or name its file in the environment variable DIALOGPT_MPI.`,
  );
}

function usualFiles(environment: NodeJS.ProcessEnv): string[] {
  const openMpi = ['libmpi.so.40', 'libmpi.40.dylib'];
  const mpich = ['libmpich.so.12', 'libmpi.so.12', 'libmpi.12.dylib', 'libmpich.so'];
  const { OMPI_COMM_WORLD_SIZE, PMI_SIZE, PMIX_RANK } = environment;
  const openMpiFirst =
    OMPI_COMM_WORLD_SIZE !== undefined || (PMI_SIZE === undefined && PMIX_RANK !== undefined);
  return openMpiFirst ? [...openMpi, 'libmpi.so', ...mpich] : [...mpich, ...openMpi, 'libmpi.so'];
}

/** All processes of a job (`MPI_COMM_WORLD`), through the C interface of MPI. */
class MpiCommunicator implements Communicator {
  readonly rank: number;
  readonly size: number;
  readonly #library: Library;
  readonly #constants: Constants;
  /** Calls are made one after the other, in the order in which they were asked for. */
  #last: Promise<void> = Promise.resolve();

  constructor(library: Library) {
    this.#library = library;
    this.#constants = constantsOf(library);
    const provided = new Int32Array(1);
    this.#now(
      'MPI_Init_thread',
      ['void *', 'void *', 'int', 'void *'],
      [null, null, THREAD_SERIALIZED, provided],
    );
    if ((provided[0] ?? 0) < THREAD_SERIALIZED) {
      throw new UserError(
        'This MPI library was built without threads (MPI_THREAD_SERIALIZED); use one that has them.',
      );
    }
    this.rank = this.#ask('MPI_Comm_rank');
    this.size = this.#ask('MPI_Comm_size');
  }

  async allReduceSum(values: Summable): Promise<void> {
    const { handle, world, float32, float64, sum, inPlace } = this.#constants;
    const type = values instanceof Float32Array ? float32 : float64;
    for (let start = 0; start < values.length; start += LARGEST_COUNT) {
      const part = values.subarray(start, start + LARGEST_COUNT);
      await this.#later(
        'MPI_Allreduce',
        ['intptr_t', 'void *', 'int', handle, handle, handle],
        [inPlace, part, part.length, type, sum, world],
      );
    }
  }

  async broadcast(values: Float32Array): Promise<void> {
    const { handle, world, float32 } = this.#constants;
    for (let start = 0; start < values.length; start += LARGEST_COUNT) {
      const part = values.subarray(start, start + LARGEST_COUNT);
      await this.#later(
        'MPI_Bcast',
        ['void *', 'int', handle, 'int', handle],
        [part, part.length, float32, 0, world],
      );
    }
  }

  async barrier(): Promise<void> {
    await this.#later('MPI_Barrier', [this.#constants.handle], [this.#constants.world]);
  }

  abort(): void {
    this.#now('MPI_Abort', [this.#constants.handle, 'int'], [this.#constants.world, 1]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#later('MPI_Finalize', [], []);
  }

  #ask(name: string): number {
    const answer = new Int32Array(1);
    this.#now(name, [this.#constants.handle, 'void *'], [this.#constants.world, answer]);
    return answer[0] ?? 0;
  }

  #now(name: string, types: string[], values: readonly unknown[]): void {
    const call: (...values: readonly unknown[]) => unknown = this.#library.func(name, 'int', types);
    check(name, call(...values));
  }

  /** Makes a call off the event loop, after those before it. */
  #later(name: string, types: string[], values: readonly unknown[]): Promise<void> {
    const call = this.#library.func(name, 'int', types);
    const turn = this.#last.then(
      () =>
        new Promise<void>((resolve, reject) => {
          call.async(...values, (error: Error | null, code: unknown) => {
            if (error !== null) {
              reject(error);
              return;
            }
            try {
              check(name, code);
              resolve();
            } catch (failure) {
              reject(failure instanceof Error ? failure : new Error(String(failure)));
            }
          });
        }),
    );
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}

/** MPI ends the job by itself on most errors; what it reports instead must not be overlooked. */
function check(name: string, code: unknown): void {
  if (code !== 0) throw new Error(`${name} failed with code ${String(code)}.`);
}
