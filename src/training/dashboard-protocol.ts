import type { StepRow } from './curves.js';

/** A reply of the model to a conversation of the held-out data. */
export interface DashboardSample {
  /** The turn that it answers. */
  readonly turn: string;
  readonly reply: string;
}

/** What the dashboard's thread is told as training goes on. */
export type DashboardNews =
  | { readonly type: 'step'; readonly row: StepRow; readonly steps: number }
  | { readonly type: 'validation'; readonly step: number; readonly perplexity: number }
  | { readonly type: 'samples'; readonly samples: readonly DashboardSample[] }
  | { readonly type: 'end' };

/** What the thread is given at its start. */
export interface DashboardTask {
  /** The name of the run, for the page. */
  readonly run: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** The folder of the logs of a run that goes on, and its last step. */
  readonly past?: { readonly folder: string; readonly step: number };
}

/** What the thread says: where it listens, or why it does not. */
export type DashboardAnswer =
  | { readonly type: 'listening'; readonly port: number }
  | { readonly type: 'failed'; readonly code: string; readonly message: string };
