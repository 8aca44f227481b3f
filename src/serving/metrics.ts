import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { ModelPool } from './model-pool.js';
import type { RequestNotes } from './scope.js';

const SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

/** A request that has been answered, as it is counted. */
export interface Answered {
  readonly method: string;
  /** The path's pattern, or `unknown`. */
  readonly route: string;
  readonly status: number;
  readonly seconds: number;
  readonly notes: RequestNotes;
}

/** What the server counts and times, for Prometheus. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #requests: Counter<'method' | 'route' | 'status'>;
  readonly #duration: Histogram<'route'>;
  readonly #firstToken: Histogram<'route'>;
  readonly #promptTokens: Counter;
  readonly #cachedTokens: Counter;
  readonly #completionTokens: Counter;
  readonly #restarts: Counter;

  constructor() {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry });
    this.#requests = new Counter({
      name: 'dialogpt_http_requests_total',
      help: 'Requests answered.',
      labelNames: ['method', 'route', 'status'],
      registers,
    });
    this.#duration = new Histogram({
      name: 'dialogpt_http_request_duration_seconds',
      help: 'From a request to the end of its answer.',
      labelNames: ['route'],
      buckets: SECONDS,
      registers,
    });
    this.#firstToken = new Histogram({
      name: 'dialogpt_time_to_first_token_seconds',
      help: 'From a request to the first text of its answer.',
      labelNames: ['route'],
      buckets: SECONDS,
      registers,
    });
    const counter = (name: string, help: string) => new Counter({ name, help, registers });
    this.#promptTokens = counter('dialogpt_prompt_tokens_total', 'Tokens of prompts.');
    this.#cachedTokens = counter(
      'dialogpt_prompt_tokens_cached_total',
      'Tokens of prompts that were known from before and not computed again.',
    );
    this.#completionTokens = counter('dialogpt_completion_tokens_total', 'Tokens generated.');
    this.#restarts = counter('dialogpt_model_losses_total', "Times the model's thread was lost.");
  }

  /** Reads the pool's state whenever somebody asks. */
  watch(pool: ModelPool): void {
    const gauge = (name: string, help: string, value: () => number) => {
      const made: Gauge = new Gauge({
        name,
        help,
        registers: [this.#registry],
        collect: () => {
          made.set(value());
        },
      });
    };
    gauge('dialogpt_slots', 'Replies that may be generated side by side.', () => pool.slots);
    gauge('dialogpt_slots_busy', 'Replies under way.', () => pool.busy);
    gauge('dialogpt_queue_length', 'Replies that wait for a slot.', () => pool.waiting);
    gauge('dialogpt_ready', 'Whether a model is loaded.', () => Number(pool.ready));
  }

  /** Counts a request that has been answered. */
  count({ method, route, status, seconds, notes }: Answered): void {
    this.#requests.inc({ method, route, status });
    this.#duration.observe({ route }, seconds);
    if (notes.firstToken !== undefined) this.#firstToken.observe({ route }, notes.firstToken);
    this.#promptTokens.inc(notes.promptTokens ?? 0);
    this.#cachedTokens.inc(notes.cachedTokens ?? 0);
    this.#completionTokens.inc(notes.completionTokens ?? 0);
  }

  /** Counts a loss of the model's thread. */
  countLoss(): void {
    this.#restarts.inc();
  }

  /** All figures in Prometheus's text format. */
  async text(): Promise<string> {
    return this.#registry.metrics();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }
}
