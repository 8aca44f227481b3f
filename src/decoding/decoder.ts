import { type GraphWeights, memoryWeights } from '../checkpoint/index.js';
import { Parameters } from '../model/index.js';
import { type Device, Session } from '../runtime/index.js';
import { CachedReader, type CachedReaderOptions, openDecodeGraph } from './cached-reader.js';

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
    const session = await openDecodeGraph(weights, device, (graph, where, files) =>
      Session.create(
        graph,
        { device: where, inPlace: where === 'cpu', ...(threads === undefined ? {} : { threads }) },
        files,
      ),
    );
    return new Decoder(weights.config, session, device, options);
  }
}
