import { UserError } from './errors.js';

/** Which of several processes this is. */
export interface Rank {
  /** From 0. */
  readonly rank: number;
  readonly size: number;
}

/** What launchers put into the environment: Open MPI, MPICH and Intel MPI, Slurm. */
const VARIABLES: readonly (readonly [string, string])[] = [
  ['OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE'],
  ['PMI_RANK', 'PMI_SIZE'],
  ['SLURM_PROCID', 'SLURM_NTASKS'],
];

/** This process's rank under `mpirun` or `srun`; the only one where there is neither. */
export function readRank(environment: NodeJS.ProcessEnv = process.env): Rank {
  for (const [rankName, sizeName] of VARIABLES) {
    const [rankText, sizeText] = [environment[rankName], environment[sizeName]];
    if (rankText === undefined || sizeText === undefined) continue;
    const [rank, size] = [Number(rankText), Number(sizeText)];
    if (Number.isInteger(rank) && Number.isInteger(size) && rank >= 0 && rank < size) {
      return { rank, size };
    }
    throw new UserError(
      `${rankName}=${rankText} and ${sizeName}=${sizeText} are no rank and size; start again through mpirun or srun, or unset them.`,
    );
  }
  return { rank: 0, size: 1 };
}

/** The part of a list that falls to one rank: every `size`th, from `rank` on. */
export function shareOf<T>(items: readonly T[], { rank, size }: Rank): T[] {
  return items.filter((_, index) => index % size === rank);
}
