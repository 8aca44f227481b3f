/** Where the scaling of the loss stands. */
export interface LossScaleState {
  /** What the loss is multiplied by. */
  readonly lossScale: number;
  /** Steps since the gradients last overflowed. */
  readonly goodSteps: number;
}

/** Steps without overflow after which the scale is doubled. */
const WINDOW = 1000;

/**
 * Scales the loss so that small gradients do not vanish in half precision: as apex's `FP16_Optimizer`
 * in the original. The dynamic scale starts at 2¹⁶, is halved by each step whose gradients overflow
 * (down to 1), and doubled after 1000 in a row that do not; a static one stays. A step that overflows
 * changes no weights.
 */
export class LossScale {
  readonly #dynamic: boolean;
  #state: LossScaleState;

  /**
   * @param fixed the static scale; 0: dynamic
   * @param state where a dynamic scale goes on
   */
  constructor(fixed: number, state?: LossScaleState) {
    this.#dynamic = fixed === 0;
    this.#state =
      fixed === 0
        ? (state ?? { lossScale: 2 ** 16, goodSteps: 0 })
        : { lossScale: fixed, goodSteps: 0 };
  }

  get state(): LossScaleState {
    return this.#state;
  }

  /** Takes note of a step. */
  update(overflowed: boolean): void {
    if (!this.#dynamic) return;
    const { lossScale, goodSteps } = this.#state;
    if (overflowed) {
      this.#state = { lossScale: Math.max(1, lossScale / 2), goodSteps: 0 };
      return;
    }
    const grows = (goodSteps + 1) % WINDOW === 0;
    this.#state = { lossScale: grows ? 2 * lossScale : lossScale, goodSteps: goodSteps + 1 };
  }
}
