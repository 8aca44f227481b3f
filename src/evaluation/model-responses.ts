import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import { z } from 'zod';
import { UserError } from '../base/errors.js';
import { exists, readJson, writeFileWhole } from '../base/files.js';
import { describeModel } from '../checkpoint/index.js';
import {
  DEFAULT_BATCH_SIZE,
  type DialogModel,
  generateResponses,
  loadModel,
  type LoadOptions,
  ResponseFile,
  responsesAtOnce,
  type ResponseSettings,
} from '../decoding/index.js';
import { type PresetName, presetOptions } from './presets.js';
import { readTexts } from './texts.js';

/** A model that responds to contexts, and how. */
export interface ModelRun {
  /** The path of a folder or file. */
  readonly model: string;
  /** The path of a model of reversed conversations, for the preset `mmi`. */
  readonly reverseModel?: string;
  readonly presets: readonly PresetName[];
  /** See {@link responsePath}; without it, responses are kept in memory only. */
  readonly out?: string;
  /** Generate anew what is there already. */
  readonly overwrite?: boolean;
  readonly maxNewTokens?: number;
  /** What `mmi` draws from; 1. */
  readonly seed?: number;
  /** Rows of the decoder to fill. */
  readonly batchSize?: number;
  readonly device?: LoadOptions['device'];
  readonly threads?: number;
  /**
   * Is told before a preset's first response, and after each: how many this run has generated, of
   * how many, and of how many tokens.
   */
  readonly onResponse?: (preset: PresetName, done: number, total: number, tokens: number) => void;
  /** Ends generation. */
  readonly signal?: AbortSignal;
}

/** Where a preset's responses are written: `out`, with the preset's name if there are several. */
export function responsePath(
  { out, presets }: Pick<ModelRun, 'out' | 'presets'>,
  preset: PresetName,
): string | undefined {
  if (out === undefined || presets.length === 1) return out;
  const end = extname(out);
  return `${out.slice(0, out.length - end.length)}.${preset}${end}`;
}

/**
 * A model's responses to contexts, a line each, for each preset in turn. With `out` they are
 * written one by one, so that a run that was killed goes on where it stood; what a whole file was
 * made with is in `FILE.json` beside it, and the same run again reads the file.
 *
 * @param contexts the turns of each, oldest first
 * @throws UserError where a context is empty, the model cannot be loaded, or a file is there that
 *   was made with other settings.
 */
export async function modelResponses(
  run: ModelRun,
  contexts: readonly (readonly string[])[],
): Promise<ReadonlyMap<PresetName, readonly string[]>> {
  const files = await fingerprint(run);
  const hash = createHash('sha256').update(JSON.stringify(contexts)).digest('hex');
  const responses = new Map<PresetName, readonly string[]>();
  let model: DialogModel | undefined;
  const load = async (): Promise<DialogModel> => (model ??= await loadFor(run));
  try {
    for (const preset of run.presets) {
      const options = JSON.stringify(presetOptions(preset, run));
      const settings = { ...files, contexts: hash, options };
      responses.set(preset, await respond(run, preset, contexts, settings, load));
    }
  } finally {
    await model?.[Symbol.asyncDispose]();
  }
  return responses;
}

async function loadFor(run: ModelRun): Promise<DialogModel> {
  const atOnce = run.presets.map((preset) =>
    responsesAtOnce(presetOptions(preset, run), run.batchSize),
  );
  return loadModel(run.model, {
    exact: true,
    // A preset means the same for every model.
    defaults: {},
    slots: Math.max(...atOnce),
    ...(run.device !== undefined && { device: run.device }),
    ...(run.threads !== undefined && { threads: run.threads }),
    ...(run.reverseModel !== undefined && { reverseModel: run.reverseModel }),
  });
}

/** One preset's responses: read where they are all there, else generated. */
async function respond(
  run: ModelRun,
  preset: PresetName,
  contexts: readonly (readonly string[])[],
  settings: ResponseSettings,
  load: () => Promise<DialogModel>,
): Promise<readonly string[]> {
  const path = responsePath(run, preset);
  const overwrite = run.overwrite === true;
  if (path !== undefined && !overwrite && (await exists(path))) {
    await checkWhole(path, settings);
    return readTexts(path);
  }
  await using file =
    path === undefined ? undefined : await ResponseFile.open(path, { settings, overwrite });
  const lines: string[] = [];
  const first = file?.lines ?? 0;
  const wanted = contexts.slice(first);
  let tokens = 0;
  const tell = (): void => run.onResponse?.(preset, lines.length, wanted.length, tokens);
  if (wanted.length > 0) {
    const { batchSize = DEFAULT_BATCH_SIZE, signal } = run;
    const model = await load();
    tell();
    const generated = generateResponses(model, wanted, {
      ...presetOptions(preset, run),
      batchSize,
      firstContext: first,
      ...(signal !== undefined && { signal }),
    });
    for await (const { response, summary } of generated) {
      const line = response.replace(/\s+/g, ' ').trim();
      lines.push(line);
      await file?.append(line);
      tokens += summary.generatedTokens;
      tell();
    }
    signal?.throwIfAborted();
  }
  if (file === undefined) return lines;
  // First the settings: a whole file without them could not be told from somebody else's.
  await writeFileWhole(settingsPath(file.path), `${JSON.stringify(settings, undefined, 2)}\n`);
  await file.finish();
  return await readTexts(file.path);
}

function settingsPath(path: string): string {
  return `${path}.json`;
}

/** @throws UserError where a file that is whole was not made with these settings. */
async function checkWhole(path: string, settings: ResponseSettings): Promise<void> {
  const made = (await exists(settingsPath(path))) ? await readJson(settingsPath(path)) : {};
  const before = z.record(z.string(), z.string()).safeParse(made).data ?? {};
  const changed = Object.keys(settings).filter((name) => settings[name] !== before[name]);
  if (changed.length === 0) return;
  throw new UserError(
    `${path}: it was not made with these settings (${changed.join(', ')}); choose another name, or give --overwrite to generate anew.`,
  );
}

/** The models' files, with their sizes and times. */
async function fingerprint({ model, reverseModel }: ModelRun): Promise<ResponseSettings> {
  const of = async (path: string): Promise<string> => {
    const files = (await describeModel(path)).files.map((file) => file.path);
    const facts = await Promise.all(
      files.map(async (file) => {
        const { size, mtimeMs } = await stat(file);
        return `${basename(file)} ${size} ${mtimeMs}`;
      }),
    );
    return facts.join(', ');
  };
  return {
    model: await of(model),
    ...(reverseModel !== undefined && { 'reverse model': await of(reverseModel) }),
  };
}
