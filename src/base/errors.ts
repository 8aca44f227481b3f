/**
 * An error that the person at the keyboard can mend: its message is one clear sentence that says
 * what is wrong, where (file, line, byte) and what to do. The command line prints it without a
 * stack trace; every other error is a fault of ours and is printed as such.
 */
export class UserError extends Error {
  override readonly name = 'UserError';
}

/** The text of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The `code` of a Node.js system error (`ENOENT`, `ENOSPC`, …), if the error carries one. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined;
}

const FILE_ADVICE: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or folder; check the path',
  EACCES: 'permission denied; check who owns it',
  EPERM: 'the operation is not permitted; check who owns it',
  EISDIR: 'this is a folder; give a file',
  ENOTDIR: 'a part of this path is a file, not a folder',
  EEXIST: 'it exists already; choose another name or remove it',
  ENOSPC: 'no space left on the device; free some and run the same command again',
  EDQUOT: 'the disk quota is used up; free some space and run the same command again',
  EFBIG: 'the file would be larger than this file system or limit allows',
  EROFS: 'the file system is read-only; choose another place',
  ENAMETOOLONG: 'the name is too long; choose a shorter one',
  ERR_INVALID_ARG_VALUE: 'no file can have this name; choose another one',
  EMFILE: 'too many open files; raise the limit (ulimit -n)',
};

/**
 * Turns a system error about `path` into a {@link UserError} that says what to do; any other
 * error is returned as it is.
 */
export function explainFileError(error: unknown, path: string): unknown {
  const advice = FILE_ADVICE[codeOf(error) ?? ''];
  return advice === undefined ? error : new UserError(`${path}: ${advice}.`, { cause: error });
}

/** Runs `work` and explains any system error it throws as one about `path`. */
export async function withFileErrors<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw explainFileError(error, path);
  }
}

/** The first thing that a check of outside data found wrong, and where in it. */
export function describeIssue({
  issues: [issue],
}: {
  readonly issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[];
}): string {
  return `${issue?.path.map(String).join('.') ?? ''}: ${issue?.message ?? ''}`;
}
