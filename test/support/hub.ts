import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { type HubSettings } from '../../src/checkpoint/hub-settings.js';

/** What a {@link LoopbackHub} serves, and how it misbehaves. */
export interface HubContent {
  /** The model's name. */
  readonly id: string;
  readonly commit: string;
  /** Branches and tags besides `main`. */
  readonly revisions?: readonly string[];
  readonly files: ReadonlyMap<string, Buffer>;
  /** The token without which nothing is served. */
  readonly token?: string;
  /** The status of every answer, if there is to be no other. */
  status?: number;
  /** After how many bytes each of the next downloads from the storage host is cut off. */
  cuts?: number[];
  /** Whether the storage host ignores ranges and sends whole files. */
  ignoresRanges?: boolean;
  /** Whether the storage host sends other bytes than the hub promised. */
  damages?: boolean;
}

/** A request that the hub or its storage host got. */
export interface HubRequest {
  readonly host: 'hub' | 'storage';
  readonly path: string;
  readonly authorization: string | undefined;
  readonly range: string | undefined;
}

/** A hub of models on this machine. Large files are redirected to a second host, as on the hub. */
export interface LoopbackHub {
  readonly endpoint: string;
  readonly requests: HubRequest[];
  /** Settings that point here, with a cache at `cache`. */
  settings(cache: string, more?: Partial<HubSettings>): HubSettings;
}

const isLarge = (name: string): boolean => /\.(?:safetensors|bin)$/.test(name);
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** The name that git gives a file's content. */
export function gitBlobName(bytes: Buffer): string {
  return createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
}

/** Starts a hub that serves `content` until the test ends. */
export async function startHub(context: TestContext, content: HubContent): Promise<LoopbackHub> {
  const requests: HubRequest[] = [];
  const note = (host: 'hub' | 'storage', request: IncomingMessage): string => {
    const path = request.url ?? '/';
    const { authorization, range } = request.headers;
    requests.push({ host, path, authorization, range });
    return path;
  };
  const storage = await listen(context, (request, response) => {
    const name = decodeURIComponent(note('storage', request).slice(1));
    serveStored(content, content.files.get(name) ?? Buffer.alloc(0), request, response);
  });
  const endpoint = await listen(context, (request, response) => {
    serveHub(content, storage, note('hub', request), request, response);
  });
  const settings = (cache: string, more: Partial<HubSettings> = {}): HubSettings => ({
    endpoint,
    cache,
    offline: false,
    patience: 5000,
    pause: 1,
    ...more,
  });
  return { endpoint, requests, settings };
}

async function listen(
  context: TestContext,
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<string> {
  return listenOn(context, createServer(handle));
}

async function listenOn(context: TestContext, server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The server has no port.');
  return `http://127.0.0.1:${address.port}`;
}

function serveHub(
  content: HubContent,
  storage: string,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const refuse = (status: number): void => {
    response.writeHead(status, { 'content-type': 'application/json' }).end('{"error":"refused"}');
  };
  if (content.status !== undefined) {
    refuse(content.status);
    return;
  }
  if (content.token !== undefined && request.headers.authorization !== `Bearer ${content.token}`) {
    refuse(401);
    return;
  }
  const { pathname } = new URL(path, 'http://hub');
  const revisions = ['main', content.commit, ...(content.revisions ?? [])];
  const revision = revisions.find((name) => pathname.includes(`/${encodeURIComponent(name)}`));
  if (revision === undefined || !pathname.includes(`/${content.id}/`)) {
    refuse(404);
  } else if (pathname.startsWith(`/api/models/${content.id}/revision/`)) {
    const info = { _id: '1', id: content.id, sha: content.commit, private: false };
    sendJson(response, { ...info, lastModified: '2020-01-01T00:00:00.000Z' });
  } else if (pathname.startsWith(`/api/models/${content.id}/tree/`)) {
    sendJson(response, Array.from(content.files, treeEntry));
  } else {
    const name = pathname.slice(`/${content.id}/resolve/${revision}/`.length);
    const bytes = content.files.get(name);
    if (bytes === undefined) {
      refuse(404);
    } else if (isLarge(name)) {
      const headers = { location: `${storage}/${encodeURIComponent(name)}`, etag: '"linked"' };
      response.writeHead(302, headers).end();
    } else {
      response.writeHead(200, { etag: `"${gitBlobName(bytes)}"` }).end(bytes);
    }
  }
}

function sendJson(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

function treeEntry([path, bytes]: readonly [string, Buffer]): object {
  const entry = { type: 'file', path, size: bytes.length, oid: gitBlobName(bytes) };
  const lfs = { oid: sha256(bytes), size: bytes.length, pointerSize: 130 };
  return isLarge(path) ? { ...entry, oid: gitBlobName(Buffer.from('pointer')), lfs } : entry;
}

function serveStored(
  content: HubContent,
  stored: Buffer,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const bytes = Buffer.from(stored);
  if (content.damages === true) bytes[bytes.length - 1] = 0x55;
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const skipped = content.ignoresRanges === true ? 0 : start;
  const range = `bytes ${skipped}-${bytes.length - 1}/${bytes.length}`;
  response.writeHead(skipped > 0 ? 206 : 200, {
    etag: `"${sha256(stored)}"`,
    'content-length': bytes.length - skipped,
    ...(skipped > 0 ? { 'content-range': range } : {}),
  });
  const cut = content.cuts?.shift();
  if (cut === undefined) {
    response.end(bytes.subarray(skipped));
  } else {
    response.write(bytes.subarray(skipped, skipped + cut), () => {
      // The bytes must have left before the connection breaks.
      setTimeout(() => response.destroy(), 20);
    });
  }
}

/** A proxy on this machine that lets connections through and notes where they lead. */
export async function startProxy(
  context: TestContext,
): Promise<{ readonly address: string; readonly targets: readonly string[] }> {
  const targets: string[] = [];
  const server = createServer((_, response) => response.writeHead(405).end());
  server.on('connect', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    const target = request.url ?? '';
    targets.push(target);
    const { hostname, port } = new URL(`http://${target}`);
    const onward = connect(Number(port), hostname, () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      onward.write(head);
      onward.pipe(socket);
      socket.pipe(onward);
    });
    for (const end of [onward, socket]) {
      end.on('error', () => {
        onward.destroy();
        socket.destroy();
      });
    }
    context.after(() => onward.destroy());
  });
  return { address: await listenOn(context, server), targets };
}
