import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { extname, join, sep } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Extension } from './app.js';
import { addPath } from './context.js';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.wasm': 'application/wasm',
};

/** The pages load nothing from elsewhere, and nobody frames them. */
const POLICY = [
  `default-src 'self'`,
  `base-uri 'none'`,
  `form-action 'none'`,
  `frame-ancestors 'none'`,
  `object-src 'none'`,
].join('; ');

/** Headers of the page whose model computes in the browser, and of all that it loads. */
const COMPUTING: Readonly<Record<string, string>> = {
  'content-security-policy': `${POLICY}; script-src 'self' 'wasm-unsafe-eval'`,
  // Browsers give several threads one memory on pages that are isolated from other origins alone.
  'cross-origin-embedder-policy': 'require-corp',
};

/** Larger files stay on disk. */
const LARGEST_KEPT = 1 << 20;

/** A file of the pages, as it is sent. */
interface PageFile {
  readonly path: string;
  readonly type: string;
  readonly size: number;
  readonly etag: string;
  readonly content: () => Uint8Array<ArrayBuffer> | ReadableStream;
}

/**
 * The web chat at `/`, the model in the browser at `/browser/`, and the files that they need, which
 * the build puts into `dist/web`. They are listed once, so no path of a request ever reaches the
 * file system.
 */
export async function pages(): Promise<Extension> {
  const files = await listPages();
  return (app) => {
    addPath(app, '/browser', {
      GET: (context) => context.redirect(`browser/${new URL(context.req.url).search}`),
    });
    for (const { path, type, size, content, etag } of files) {
      addPath(app, path, {
        GET: (context) => {
          context.header('etag', etag);
          context.header('cache-control', 'no-cache');
          context.header('content-security-policy', POLICY);
          if (path.startsWith('/browser/')) {
            for (const [name, value] of Object.entries(COMPUTING)) context.header(name, value);
          }
          if (context.req.header('if-none-match') === etag) return context.body(null, 304);
          context.get('scope').takeTime();
          const headers = { 'content-type': type, 'content-length': String(size) };
          return context.body(content(), 200, headers);
        },
      });
    }
  };
}

async function listPages(): Promise<PageFile[]> {
  const folder = fileURLToPath(new URL('../../web/', import.meta.url));
  const files: PageFile[] = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    const path = `/${file.slice(folder.length).replaceAll(sep, '/')}`;
    files.push({
      path: path.replace(/\/index\.html$/, '/'),
      type: TYPES[extname(entry.name)] ?? 'application/octet-stream',
      ...(await contentOf(file)),
    });
  }
  return files;
}

async function contentOf(file: string): Promise<Pick<PageFile, 'content' | 'etag' | 'size'>> {
  const { size, mtimeMs } = await stat(file);
  if (size > LARGEST_KEPT) {
    return {
      size,
      etag: tagOf(`${file} ${size} ${mtimeMs}`),
      content: () => Readable.toWeb(createReadStream(file)),
    };
  }
  const content = new Uint8Array(await readFile(file));
  return { size, etag: tagOf(content), content: () => content };
}

function tagOf(content: string | Uint8Array): string {
  return `"${createHash('sha256').update(content).digest('base64url').slice(0, 22)}"`;
}
