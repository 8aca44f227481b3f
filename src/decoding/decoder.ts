import { type GraphWeights, memoryWeights } from '../checkpoint/index.js';
import { parameterCount, Parameters } from '../model/index.js';
import { type Device, Session, useHugePages } from '../runtime/index.js';
import { CachedReader, type CachedReaderOptions, openDecodeGraph } from './cached-reader.js';
import { copyingAccess } from './copying-access.js';
import { inPlaceAccess } from './in-place-access.js';

/** How many parameters a model must have for large pages to make its steps faster, measurably. */
const LARGE = 2 ** 26;

/** How a {@link Decoder} runs. */
export interface DecoderOptions extends CachedReaderOptions {
  readonly device?: Device;
  readonly threads?: number;
}

/** A {@link CachedReader} whose graph is run by ONNX Runtime's native build. */
export class Decoder extends CachedReader {
  /**
   * Makes a decoder of a model.
   *
   * @param model its weights as they are now; later changes are not seen
   */
  static async create(
    model: Parameters | GraphWeights,
    options: DecoderOptions = {},
  ): Promise<Decoder> {
    const { device = 'cpu', threads } = options;
    const weights = model instanceof Parameters ? memoryWeights(model) : model;
    // GPUs have memory of their own.
    const inPlace = device === 'cpu';
    const access = inPlace ? inPlaceAccess : copyingAccess(device);
    const session = await openDecodeGraph(weights, device, access, (graph, where, files) =>
      Session.create(
        graph,
        { device: where, inPlace, ...(threads === undefined ? {} : { threads }) },
        files,
      ),
    );
    // It takes half a second and more, for which the first reply does not wait.
    if (inPlace && parameterCount(weights.config) >= LARGE) void useHugePages({ background: true });
    return new Decoder(weights.config, session, access, options);
  }
}
