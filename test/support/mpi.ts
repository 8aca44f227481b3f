import { spawnSync } from 'node:child_process';
import { type Running, type RunOptions, start } from './command.js';

/** The launchers of Debian's packages; `mpirun` may be either. */
const LAUNCHERS = ['mpirun.openmpi', 'mpirun.mpich', 'mpirun'] as const;

/** Launchers of MPI that are installed: Open MPI's, MPICH's, or whichever `mpirun` is. */
export const launchers: readonly string[] = installed();

function installed(): string[] {
  const found = LAUNCHERS.filter((name) => spawnSync(name, ['--version']).status === 0);
  return found.length > 1 ? found.filter((name) => name !== 'mpirun') : found;
}

/** Why tests with MPI are skipped, if they are. */
export const withoutMpi =
  launchers.length === 0 && 'needs mpirun (Debian: apt-get install openmpi-bin)';

/** Starts a program of Node in several processes, more than there are processors if need be. */
export function startRanks(
  launcher: string,
  ranks: number,
  program: readonly string[],
  options: RunOptions = {},
): Running {
  return start(launcher, ['-n', String(ranks), process.execPath, ...program], {
    ...options,
    env: {
      OMPI_ALLOW_RUN_AS_ROOT: '1',
      OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1',
      OMPI_MCA_rmaps_base_oversubscribe: '1',
      // Open MPI's processes would otherwise spin, each on a processor, while they wait.
      OMPI_MCA_mpi_yield_when_idle: '1',
      ...options.env,
    },
  });
}
