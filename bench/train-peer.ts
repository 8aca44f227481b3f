import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { z } from 'zod';
import type { Example } from '../src/dataset/index.js';
import type { Gpt2Config } from '../src/model/index.js';

const SCRIPT = join(import.meta.dirname, '../../bench/peers/train_torch.py');

/**
 * Without these, glibc gives large blocks back to the system at once, and PyTorch spends much of a
 * step on getting them again page by page.
 */
const KEEP_MEMORY = { MALLOC_MMAP_MAX_: '0', MALLOC_TRIM_THRESHOLD_: '100000000000' };

const stepSchema = z.object({
  seconds: z.number(),
  adam_seconds: z.number(),
  processor_seconds: z.number(),
});

/** PyTorch's training loop in a process of its own, one step at a time. */
export class Peer {
  readonly #process: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;
  readonly #folder: string;

  private constructor(child: ChildProcessByStdio<Writable, Readable, null>, folder: string) {
    this.#process = child;
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    this.#folder = folder;
  }

  /**
   * Starts it with some batches; none without a Python.
   *
   * @param python a Python that has PyTorch
   */
  static async start(
    python: string | undefined,
    config: Gpt2Config,
    steps: readonly (readonly Example[])[],
  ): Promise<Peer | undefined> {
    if (python === undefined) return undefined;
    const folder = await mkdtemp(join(tmpdir(), 'dialogpt-peer-'));
    const file = join(folder, 'batches.jsonl');
    const lines = steps.map((examples) =>
      JSON.stringify(
        examples.map(({ inputIds, labels }) => ({
          input_ids: [...inputIds],
          labels: [...labels],
        })),
      ),
    );
    await writeFile(file, `${lines.join('\n')}\n`);
    const { vocab_size, n_positions, n_embd, n_layer, n_head } = config;
    const shape = [vocab_size, n_positions, n_embd, n_layer, n_head].map(String);
    const child = spawn(python, [SCRIPT, file, '--shape', ...shape], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...KEEP_MEMORY, ...process.env },
    });
    const peer = new Peer(child, folder);
    await peer.#line();
    return peer;
  }

  /** One step on the batch of this number. */
  async step(number: number): Promise<{
    seconds: number;
    adamSeconds: number;
    processorSeconds: number;
  }> {
    this.#process.stdin.write(`${number}\n`);
    const { seconds, adam_seconds, processor_seconds } = stepSchema.parse(
      JSON.parse(await this.#line()),
    );
    return { seconds, adamSeconds: adam_seconds, processorSeconds: processor_seconds };
  }

  async #line(): Promise<string> {
    const next = await this.#lines.next();
    if (next.done === true) throw new Error('The PyTorch process ended too early.');
    return next.value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.stdin.end();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
