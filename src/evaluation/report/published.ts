/** A published row: NIST-2, NIST-4, BLEU-2 %, BLEU-4 %, METEOR %, Entropy-4, Distinct-1 %, -2 %, length. */
export type PublishedRow = readonly [
  system: string,
  nist2: number,
  nist4: number,
  bleu2: number,
  bleu4: number,
  meteor: number,
  entropy4: number,
  distinct1: number,
  distinct2: number,
  averageLength: number,
];

/** A published table of systems. */
export interface PublishedTable {
  readonly title: string;
  readonly source: string;
  readonly rows: readonly PublishedRow[];
}

const SOURCE = 'README of github.com/microsoft/DialoGPT (Zhang et al. 2020, arXiv:1911.00536)';

/**
 * The tables that DialoGPT was published with: "DSTC-7 challenge" and "6K multi-ref dataset
 * result" in the README of https://github.com/microsoft/DialoGPT, which go with the paper (Zhang et
 * al. 2020, https://arxiv.org/abs/1911.00536).
 */
export const PUBLISHED = {
  dstc7: {
    title: 'DSTC-7',
    source: SOURCE,
    rows: [
      ['Human response', 2.62, 2.65, 12.35, 3.13, 8.31, 10.45, 16.66, 67.01, 18.8],
      ['DSTC-7 winner', 2.51, 2.52, 14.35, 1.83, 8.07, 9.03, 10.89, 32.49, 15.1],
      ['DialoGPT 345M', 2.8, 2.82, 14.16, 2.31, 8.51, 10.08, 9.13, 39.73, 16.9],
      ['DialoGPT 345M, beam', 2.92, 2.97, 19.18, 6.05, 9.29, 9.57, 15.73, 51.03, 14.2],
    ],
  },
  '6k': {
    title: 'Reddit, 6k multi-reference',
    source: SOURCE,
    rows: [
      ['Human response', 3.41, 4.25, 17.9, 7.48, 10.64, 11, 14.5, 63.0, 13.1],
      ['DialoGPT 117M', 2.39, 2.41, 10.54, 1.55, 7.53, 10.78, 8.6, 39.9, 12.8],
      ['DialoGPT 345M', 3, 3.06, 16.96, 4.56, 9.81, 9.13, 6.8, 26.3, 12.2],
      ['DialoGPT 762M', 2.84, 2.9, 18.66, 5.25, 9.66, 9.72, 7.76, 29.93, 11.2],
      ['DialoGPT 345M, beam', 3.4, 3.5, 21.76, 7.92, 10.74, 10.48, 12.38, 48.74, 11.3],
      ['DialoGPT 345M, MMI', 3.28, 3.33, 15.68, 3.94, 11.23, 11.25, 9.39, 45.55, 17.2],
    ],
  },
} as const satisfies Record<string, PublishedTable>;

/** The name of a published table. */
export type PublishedName = keyof typeof PUBLISHED;
