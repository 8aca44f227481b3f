import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Extension } from './app.js';
import { addPath } from './context.js';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** The page loads nothing from elsewhere, and nobody frames it. */
const POLICY = [
  `default-src 'self'`,
  `base-uri 'none'`,
  `form-action 'none'`,
  `frame-ancestors 'none'`,
  `object-src 'none'`,
].join('; ');

/** A file of the page, as it is sent. */
interface PageFile {
  readonly path: string;
  readonly type: string;
  readonly content: Uint8Array<ArrayBuffer>;
  readonly etag: string;
}

/**
 * The web chat: the page at `/` and the files it needs, which the build puts into `dist/web`. They
 * are read once, so no path of a request ever reaches the file system.
 */
export async function pages(): Promise<Extension> {
  const files = await readPages();
  return (app) => {
    for (const { path, type, content, etag } of files) {
      addPath(app, path, {
        GET: (context) => {
          context.header('etag', etag);
          context.header('cache-control', 'no-cache');
          context.header('content-security-policy', POLICY);
          if (context.req.header('if-none-match') === etag) return context.body(null, 304);
          return context.body(content, 200, { 'content-type': type });
        },
      });
    }
  };
}

async function readPages(): Promise<PageFile[]> {
  const folder = fileURLToPath(new URL('../../web/', import.meta.url));
  const files: PageFile[] = [];
  for (const name of await readdir(folder)) {
    const content = new Uint8Array(await readFile(join(folder, name)));
    files.push({
      path: name === 'index.html' ? '/' : `/${name}`,
      type: TYPES[extname(name)] ?? 'application/octet-stream',
      content,
      etag: `"${createHash('sha256').update(content).digest('base64url').slice(0, 22)}"`,
    });
  }
  return files;
}
