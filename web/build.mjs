// Bundles the pages of web/ into dist/web, and copies what ONNX Runtime needs in a browser.
import { build } from 'esbuild';
import { copyFile, mkdir, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const web = dirname(fileURLToPath(import.meta.url));
const out = join(web, '..', 'dist', 'web');

const common = {
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  loader: { '.html': 'copy', '.svg': 'copy' },
  logLevel: 'warning',
};

/** What each build of ONNX Runtime loads: the processor's, and the one that knows WebGPU. */
const RUNTIME = ['ort-wasm-simd-threaded', 'ort-wasm-simd-threaded.asyncify'];

await rm(out, { recursive: true, force: true });
await build({
  ...common,
  entryPoints: ['main.tsx', 'style.css', 'index.html', 'icon.svg'].map((name) => join(web, name)),
  outdir: out,
});
await build({
  ...common,
  entryPoints: [
    ...['main.tsx', 'worker.ts', 'style.css', 'index.html'].map((name) =>
      join(web, 'browser', name),
    ),
    { in: join(web, 'icon.svg'), out: 'icon' },
  ].map((entry) => (typeof entry === 'string' ? { in: entry, out: nameOf(entry) } : entry)),
  outdir: join(out, 'browser'),
  splitting: true,
  // The runtime's files lie beside the page, not in its scripts.
  conditions: ['onnxruntime-web-use-extern-wasm'],
});
const runtime = dirname(createRequire(import.meta.url).resolve('onnxruntime-web'));
await mkdir(join(out, 'browser', 'ort'), { recursive: true });
for (const name of RUNTIME) {
  for (const ending of ['mjs', 'wasm']) {
    const file = `${name}.${ending}`;
    await copyFile(join(runtime, file), join(out, 'browser', 'ort', file));
  }
}
await copyFile(join(web, 'browser', 'ort-licence.txt'), join(out, 'browser', 'ort', 'LICENSE.txt'));

function nameOf(path) {
  return path.replace(/^.*\//, '').replace(/\.[^.]*$/, '');
}
