import { at, range } from '../base/arrays.js';
import { layerParameter, type ParameterBuffer } from '../model/index.js';
import type { Communicator } from '../runtime/index.js';

/**
 * Sums gradients over all processes, bucket by bucket: one for each layer, the last layer first, as
 * the way back finishes them, and then what lies before and behind the layers. A bucket may be on
 * its way while the layers before it are still computed.
 *
 * Every process sends all buckets in this order, so one that has no batch in a step, or that cannot
 * send early, meets the others all the same.
 */
export class GradientExchange {
  readonly #processes: Communicator;
  readonly #layers: number;
  readonly #buckets: readonly Float32Array[];
  #sent: Promise<void>[] = [];

  /** @param layers how many layers have a bucket of their own; 0: everything goes at once */
  constructor(gradients: ParameterBuffer, layers: number, processes: Communicator) {
    this.#processes = processes;
    this.#layers = layers;
    this.#buckets = bucketsOf(gradients, layers);
  }

  /** Sends a layer's gradients, to which nothing will be added in this step. */
  layerIsDone(layer: number): void {
    if (this.#layers === 0) return;
    if (this.#sent.length !== this.#layers - 1 - layer) {
      throw new Error(`Layer ${layer} is not the next whose gradients are to be summed.`);
    }
    this.#sendNext();
  }

  /** Sends what is not sent yet, and waits until all gradients are sums. */
  async finish(): Promise<void> {
    while (this.#sent.length < this.#buckets.length) this.#sendNext();
    const sent = this.#sent;
    this.#sent = [];
    await Promise.all(sent);
  }

  #sendNext(): void {
    const sent = this.#processes.allReduceSum(at(this.#buckets, this.#sent.length));
    // A failure is thrown where the step waits for it.
    sent.catch(() => undefined);
    this.#sent.push(sent);
  }
}

function bucketsOf({ layout, buffer }: ParameterBuffer, layers: number): readonly Float32Array[] {
  if (layers === 0) return [buffer];
  const spans = range(0, layers).map((layer) => {
    const own = layout.filter(({ name }) => name.startsWith(layerParameter(layer, '')));
    const first = at(own, 0);
    const last = at(own, own.length - 1);
    return { start: first.offset, stop: last.offset + last.length };
  });
  const rest = [
    { start: 0, stop: at(spans, 0).start },
    { start: at(spans, layers - 1).stop, stop: buffer.length },
  ];
  return [...spans.toReversed(), ...rest].map(({ start, stop }) => buffer.subarray(start, stop));
}
