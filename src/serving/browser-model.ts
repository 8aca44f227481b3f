import { ReadableStream } from 'node:stream/web';
import { z } from 'zod';
import { type DecodingType, type PortableFolder, portableFolder } from '../checkpoint/index.js';
import { readGenerationConfig } from '../decoding/index.js';
import type { Extension } from './app.js';
import { addPath } from './context.js';
import { ApiError } from './errors.js';

const objectSchema = z.record(z.string(), z.unknown());

/** The files that {@link browserModel} gives out. */
const FILES = ['config.json', 'vocab.json', 'merges.txt', 'model.safetensors'] as const;

/**
 * The model's files under `/api/model/`, for browsers that compute themselves; see `dialogpt/browser`.
 *
 * @param path the model, a folder or file of weights in any format
 * @param dtype what its weights are given out as
 */
export function browserModel(path: string, dtype: DecodingType): Extension {
  let opened: Promise<PortableFolder> | undefined;
  const open = async (): Promise<PortableFolder> => {
    // Nothing is done before somebody asks; what failed is tried again.
    opened ??= portableFolder(path, dtype);
    try {
      return await opened;
    } catch (error) {
      opened = undefined;
      throw error;
    }
  };
  return (app) => {
    addPath(app, '/api/model/generation_config.json', {
      GET: async (context) => {
        const content = objectSchema.parse(await readGenerationConfig(path));
        context.header('cache-control', 'no-cache');
        // The model that ranks candidates is on the server alone, perhaps under its path.
        return context.json({ ...content, reverse_model: undefined });
      },
    });
    for (const name of FILES) {
      addPath(app, `/api/model/${name}`, {
        GET: async (context) => {
          const { files, version } = await open();
          const file = files.find((each) => each.name === name);
          if (file === undefined) throw new ApiError(404, `The model has no ${name}.`);
          const etag = `"${version}"`;
          context.header('etag', etag);
          context.header('cache-control', 'no-cache');
          if (context.req.header('if-none-match') === etag) return context.body(null, 304);
          context.get('scope').takeTime();
          const headers = { 'content-type': file.type, 'content-length': String(file.size) };
          return context.body(ReadableStream.from(file.content()), 200, headers);
        },
      });
    }
  };
}
