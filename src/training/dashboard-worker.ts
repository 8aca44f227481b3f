import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { parentPort, workerData } from 'node:worker_threads';
import { z } from 'zod';
import { codeOf, messageOf } from '../base/errors.js';
import { RunRows } from './curves.js';
import { dashboardPage } from './dashboard-page.js';
import type { DashboardAnswer, DashboardNews, DashboardSample } from './dashboard-protocol.js';
import { drawCurves } from './plot.js';

/** Milliseconds between two messages to the readers, and between two drawings at least. */
const PAUSE = 1000;

/** A reader who is behind by more bytes than this is dropped. */
const LARGEST_BACKLOG = 1 << 16;

/** Drawing may take this share of the time, so that training has the processor. */
const DRAWING_SHARE = 0.05;

const taskSchema = z.object({
  run: z.string(),
  port: z.number(),
  past: z.object({ folder: z.string(), step: z.number() }).optional(),
});

/** The page's server: `/` the page, `/curves.svg` the curves, `/events` what happens (SSE). */
class DashboardServer {
  readonly server: Server;
  readonly #rows: RunRows;
  readonly #readers = new Set<ServerResponse>();
  #steps = 0;
  #samples: readonly DashboardSample[] = [];
  #drawing: Promise<string> | undefined;
  /** When the next drawing may be made. */
  #nextDrawing = 0;
  #sent = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(rows: RunRows) {
    this.#rows = rows;
    this.server = createServer((request, response) => {
      this.#answer(request, response).catch(() => {
        response.destroy();
      });
    });
  }

  receive(news: DashboardNews): void {
    if (news.type === 'step') {
      this.#rows.steps.push(news.row);
      this.#steps = news.steps;
    } else if (news.type === 'validation') {
      this.#rows.validations.push({ step: news.step, value: news.perplexity });
    } else if (news.type === 'samples') {
      this.#samples = news.samples;
    } else {
      this.#end();
      return;
    }
    const pause = this.#sent + PAUSE - performance.now();
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#send('news');
    }, pause);
  }

  /** What the page shows in words. */
  get #state(): string {
    const last = this.#rows.steps.at(-1);
    const { speed } = this.#rows.curves.curves;
    return JSON.stringify({
      ...last,
      steps: this.#steps,
      speed: speed.at(-1)?.value,
      perplexity: this.#rows.validations.at(-1)?.value,
      samples: this.#samples,
    });
  }

  #send(event: 'news' | 'end'): void {
    this.#sent = performance.now();
    if (this.#readers.size === 0) return;
    const message = `event: ${event}\ndata: ${this.#state}\n\n`;
    for (const reader of this.#readers) {
      if (reader.writableLength > LARGEST_BACKLOG) reader.destroy();
      else reader.write(message);
    }
  }

  #end(): void {
    clearTimeout(this.#timer);
    this.#send('end');
    for (const reader of this.#readers) reader.end();
    this.server.close();
    this.server.closeIdleConnections();
    parentPort?.close();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // A page of elsewhere whose name has been pointed at this machine says so here.
    const host = (request.headers.host ?? '').replace(/:\d+$/, '');
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    response.setHeader('cache-control', 'no-store');
    if (request.method !== 'GET' || !['127.0.0.1', 'localhost'].includes(host)) {
      response.writeHead(403).end();
    } else if (pathname === '/') {
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
      response.end(dashboardPage(this.#rows.run));
    } else if (pathname === '/curves.svg') {
      const svg = await this.#curves();
      response.writeHead(200, { 'content-type': 'image/svg+xml' }).end(svg);
    } else if (pathname === '/events') {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(`event: news\ndata: ${this.#state}\n\n`);
      this.#readers.add(response);
      response.on('close', () => this.#readers.delete(response));
    } else {
      response.writeHead(404).end();
    }
  }

  /** The newest drawing, or another one where it is time. */
  #curves(): Promise<string> {
    if (this.#drawing !== undefined && performance.now() < this.#nextDrawing) return this.#drawing;
    this.#nextDrawing = Infinity;
    const started = performance.now();
    this.#drawing = drawCurves([this.#rows.curves]).finally(() => {
      const now = performance.now();
      this.#nextDrawing = now + Math.max(PAUSE, (now - started) / DRAWING_SHARE);
    });
    return this.#drawing;
  }
}

async function serve(): Promise<void> {
  const { run, port, past } = taskSchema.parse(workerData);
  const rows =
    past === undefined
      ? new RunRows(run)
      : await RunRows.read(past.folder, run, past.step).catch(() => new RunRows(run));
  const dashboard = new DashboardServer(rows);
  const answer = (message: DashboardAnswer) => parentPort?.postMessage(message);
  dashboard.server.once('error', (error) => {
    answer({ type: 'failed', code: codeOf(error) ?? '', message: messageOf(error) });
  });
  dashboard.server.listen(port, '127.0.0.1', () => {
    const address = dashboard.server.address();
    answer({
      type: 'listening',
      port: typeof address === 'object' && address !== null ? address.port : port,
    });
  });
  parentPort?.on('message', (news: DashboardNews) => {
    dashboard.receive(news);
  });
}

await serve();
