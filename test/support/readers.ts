import { Random } from '../../src/base/random.js';
import { memoryWeights } from '../../src/checkpoint/index.js';
import { CachedReader, type CachedReaderOptions } from '../../src/decoding/cached-reader.js';
import { Decoder } from '../../src/decoding/index.js';
import { gpt2Config, Parameters } from '../../src/model/index.js';
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

/** The end of text of {@link decidedModel}. */
export const END = 60;

/** A tiny model to search with, to which some tokens are much likelier than others. */
export function decidedModel(seed: number): Parameters {
  const config = gpt2Config({
    vocab_size: END + 1,
    n_positions: 48,
    n_embd: 16,
    n_layer: 2,
    n_head: 2,
    initializer_range: 0.5,
  });
  return Parameters.initialize(config, new Random(seed));
}
