import { createRequire } from 'node:module';
import type { TopLevelSpec } from 'vega-lite';
import { type CurveName, CURVES, type RunCurves } from './curves.js';

const PANEL = { width: 420, height: 220 } as const;
const FONT = 'DejaVu Sans';
const LARGEST_WIDTH = 2000;

/**
 * Draws the curves of some runs over each other, a panel for each kind that any of them has. The
 * same curves give the same bytes.
 *
 * @returns an SVG file
 */
export async function drawCurves(runs: readonly RunCurves[]): Promise<string> {
  // Loaded when something is drawn: most commands never draw.
  const { parse, resetSVGDefIds, View } = await import('vega');
  const { compile } = await import('vega-lite');
  // Names within the file count on from one drawing to the next.
  resetSVGDefIds();
  const view = new View(parse(compile(specification(runs)).spec), { renderer: 'none' });
  const svg = await view.toSVG();
  view.finalize();
  return svg;
}

/** An SVG file as a PNG file, twice as large, with a font that comes with us. */
export async function svgToPng(svg: string): Promise<Uint8Array> {
  const { Resvg } = await import('@resvg/resvg-js');
  const font = createRequire(import.meta.url).resolve('dejavu-fonts-ttf/ttf/DejaVuSans.ttf');
  const image = new Resvg(svg, {
    font: { loadSystemFonts: false, fontFiles: [font], defaultFontFamily: FONT },
    fitTo: { mode: 'width', value: LARGEST_WIDTH },
  });
  return image.render().asPng();
}

function specification(runs: readonly RunCurves[]): TopLevelSpec {
  const names: readonly CurveName[] = [
    'loss',
    'perplexity',
    'learningRate',
    'speed',
    'gradientNorm',
  ];
  const drawn = names.filter((name) => runs.some(({ curves }) => curves[name].length > 0));
  return {
    background: 'white',
    columns: 2,
    concat: drawn.map((name) => ({
      title: CURVES[name],
      ...PANEL,
      data: {
        values: runs.flatMap(({ run, curves }) =>
          curves[name].map(({ step, value }) => ({ run, step, value })),
        ),
      },
      mark: { type: 'line' as const, point: name === 'perplexity' },
      encoding: {
        x: { field: 'step', type: 'quantitative' as const, title: 'step' },
        y: {
          field: 'value',
          type: 'quantitative' as const,
          title: null,
          scale: { zero: name === 'speed' || name === 'learningRate' },
        },
        color: {
          field: 'run',
          type: 'nominal' as const,
          title: null,
          scale: { domain: runs.map(({ run }) => run) },
          ...(runs.length > 1 ? {} : { legend: null }),
        },
      },
    })),
    config: { font: FONT },
  };
}
