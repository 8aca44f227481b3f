import { resolveModel } from '../checkpoint/index.js';
import { type Progress, showProgress } from './progress.js';

/** How the help of every command describes what may be given as a model. */
export const MODEL_HELP =
  'a folder or file; small-talk, small, medium, large; or a name on the hub, with @revision if wanted';

/** Finds the model that a person named; a download is shown on standard error. */
export async function findModel(name: string): Promise<string> {
  let shown: { readonly file: string; readonly progress: Progress } | undefined;
  try {
    return await resolveModel(name, {
      progress: (file, done, total) => {
        if (shown?.file !== file) {
          shown?.progress.stop();
          shown = { file, progress: showProgress(file, megabytes(total), 'MB') };
        }
        shown.progress.update(megabytes(done));
      },
    });
  } finally {
    shown?.progress.stop();
  }
}

/** Whole megabytes (10⁶ bytes), at least one. */
export function megabytes(bytes: number): number {
  return Math.max(1, Math.round(bytes / 1e6));
}
