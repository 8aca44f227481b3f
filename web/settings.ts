import { effect, signal } from '@preact/signals';
import * as z from 'zod/mini';

const samplingName = z.enum([
  'temperature',
  'topK',
  'topP',
  'repetitionPenalty',
  'maxNewTokens',
  'numBeams',
  'numCandidates',
]);

/** What {@link Sampling} looks like as JSON. */
export const samplingSchema = z.record(samplingName, z.number());

/** How replies are generated; the names are those of the library's generation options. */
export type Sampling = Readonly<z.infer<typeof samplingSchema>>;

/** Everything that the settings panel changes. */
export interface Settings {
  /** What differs from what the model's own files say. */
  readonly sampling: Partial<Sampling>;
  /** What chooses among the candidates; `own` is what the model's files say. */
  readonly rerank: 'own' | 'none' | 'mmi' | 'ranker' | 'value';
  /** Whether replies with blocked words are withheld. */
  readonly safety: boolean;
  /** `system` follows the device. */
  readonly theme: 'system' | 'light' | 'dark';
}

/** The values that most models do well with, and those of the library. */
export const BALANCED: Sampling = {
  temperature: 0.7,
  topK: 40,
  topP: 1,
  repetitionPenalty: 1,
  maxNewTokens: 60,
  numBeams: 1,
  numCandidates: 1,
};

/** Ways of sampling that one can choose by name. */
export const PRESETS: Readonly<Record<string, Partial<Sampling>>> = {
  'The model’s own': {},
  Balanced: BALANCED,
  Careful: { ...BALANCED, temperature: 0.4, topP: 0.9 },
  Lively: { ...BALANCED, temperature: 1, topK: 0, topP: 0.95 },
  Beams: { ...BALANCED, numBeams: 5 },
  'Pick of 8': { ...BALANCED, numCandidates: 8 },
};

/** A slider of the settings panel. */
export interface Slider {
  readonly name: keyof Sampling;
  readonly label: string;
  readonly hint: string;
  readonly min: number;
  readonly max: number;
  readonly step: number;
}

/** The sliders, in their order. */
export const SLIDERS: readonly Slider[] = [
  {
    name: 'temperature',
    label: 'Temperature',
    hint: 'lower is more predictable',
    min: 0.1,
    max: 2,
    step: 0.05,
  },
  {
    name: 'topK',
    label: 'Top k',
    hint: 'only so many likeliest tokens; 0 is all',
    min: 0,
    max: 200,
    step: 1,
  },
  {
    name: 'topP',
    label: 'Top p',
    hint: 'only the likeliest tokens with this share together',
    min: 0.05,
    max: 1,
    step: 0.05,
  },
  {
    name: 'repetitionPenalty',
    label: 'Repetition penalty',
    hint: 'above 1 avoids words that were there before',
    min: 1,
    max: 2,
    step: 0.05,
  },
  {
    name: 'maxNewTokens',
    label: 'Longest reply',
    hint: 'in tokens',
    min: 5,
    max: 200,
    step: 5,
  },
  {
    name: 'numBeams',
    label: 'Beams',
    hint: 'above 1 searches instead of drawing',
    min: 1,
    max: 10,
    step: 1,
  },
  {
    name: 'numCandidates',
    label: 'Candidates',
    hint: 'replies to choose from',
    min: 1,
    max: 16,
    step: 1,
  },
];

const KEY = 'dialogpt.settings';
const DEFAULTS: Settings = { sampling: {}, rerank: 'own', safety: true, theme: 'system' };

const rememberedSchema = z.object({
  sampling: z.catch(z.partialRecord(samplingName, z.number()), {}),
  rerank: z.catch(z.enum(['own', 'none', 'mmi', 'ranker', 'value']), 'own'),
  safety: z.catch(z.boolean(), true),
  theme: z.catch(z.enum(['system', 'light', 'dark']), 'system'),
});

function remembered(): Settings {
  try {
    return rememberedSchema.parse(JSON.parse(localStorage.getItem(KEY) ?? '{}'));
  } catch {
    return DEFAULTS;
  }
}

/** The settings of this browser. */
export const settings = signal<Settings>(remembered());

effect(() => {
  localStorage.setItem(KEY, JSON.stringify(settings.value));
  const { theme } = settings.value;
  if (theme === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
});

/** Changes some settings. */
export function change(some: Partial<Settings>): void {
  settings.value = { ...settings.value, ...some };
}

/** The preset that the sliders stand at, if any. */
export function presetName(sampling: Partial<Sampling>): string | undefined {
  return Object.keys(PRESETS).find((name) =>
    SLIDERS.every((slider) => PRESETS[name]?.[slider.name] === sampling[slider.name]),
  );
}

const DRAWING: readonly string[] = ['temperature', 'topK', 'topP'] satisfies (keyof Sampling)[];

/**
 * The generation options that a reply is asked for with; what is not among them, the model decides.
 *
 * @param shown what holds, the model's own included
 */
export function generationOptions(
  { sampling, rerank, safety }: Settings,
  shown: Sampling,
): Record<string, unknown> {
  const { numBeams = 1, numCandidates = 1 } = sampling;
  const searches = numBeams > 1;
  return {
    ...Object.fromEntries(
      Object.entries(sampling).filter(([name]) => !searches || !DRAWING.includes(name)),
    ),
    // A beam search finds at most as many replies as it has beams.
    ...(searches ? { numBeams: Math.max(numBeams, numCandidates) } : {}),
    ...(shown.numCandidates > 1 && rerank !== 'own' ? { rerank } : {}),
    safety,
  };
}
