import { memoryWeights } from '../../src/checkpoint/index.js';
import { CachedReader, type CachedReaderOptions } from '../../src/decoding/cached-reader.js';
import { Decoder } from '../../src/decoding/index.js';
import type { Parameters } from '../../src/model/index.js';
import { type HostTensors, Session } from '../../src/runtime/index.js';

/** A reader of each kind: whose graph writes into the cache, and whose graph's outputs are copied. */
export const READERS: readonly {
  readonly name: string;
  readonly open: (
    parameters: Parameters,
    options?: CachedReaderOptions,
    /** Is told of what each run reads, by readers that copy. */
    onRun?: (feeds: HostTensors) => void,
  ) => Promise<CachedReader>;
}[] = [
  {
    name: 'in place',
    open: (parameters, options) => Decoder.create(parameters, { threads: 1, ...options }),
  },
  {
    name: 'copying',
    open: (parameters, options, onRun) =>
      CachedReader.open(
        memoryWeights(parameters),
        'cpu',
        async (graph, device, files) => {
          const session = await Session.create(graph, { device, threads: 1 }, files);
          return {
            run: (feeds, fetches) => {
              onRun?.(feeds);
              return session.run(feeds, fetches);
            },
            [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
          };
        },
        options,
      ),
  },
];
