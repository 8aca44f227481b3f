import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { at } from '../../src/base/arrays.js';
import { loadParameters } from '../../src/checkpoint/index.js';
import { Decoder, type DecodingOptions, generate } from '../../src/decoding/index.js';
import { golden } from '../support/files.js';

const caseSchema = z.object({
  model: z.enum(['tiny', 'tiny-trained']),
  prompt: z.array(z.number()),
  options: z.record(z.string(), z.unknown()),
  generations: z.array(
    z.object({ tokens: z.array(z.number()), ended: z.boolean(), score: z.number().optional() }),
  ),
});
const fileSchema = z.object({ cases: z.array(caseSchema) });

/** Hugging Face's names and defaults as ours. */
function ourOptions(options: Record<string, unknown>): DecodingOptions {
  const named: Record<string, unknown> = { doSample: false };
  if (options.min_length === undefined) named.minNewTokens = 0;
  for (const [name, value] of Object.entries(options)) {
    named[name.replaceAll(/_(.)/g, (_, letter: string) => letter.toUpperCase())] = value;
  }
  return named;
}

async function check(file: string): Promise<void> {
  const { cases } = fileSchema.parse(JSON.parse(await readFile(golden('decoding', file), 'utf8')));
  for (const name of ['tiny', 'tiny-trained'] as const) {
    const parameters = await loadParameters(golden('gpt2', name));
    await using decoder = await Decoder.create(parameters, { threads: 1 });
    for (const { prompt, options, generations } of cases.filter(({ model }) => model === name)) {
      const found = await generate(decoder, 210, prompt, ourOptions(options));
      const where = JSON.stringify({ name, prompt, options });
      assert.deepEqual(
        found.map(({ tokens }) => tokens),
        generations.map(({ tokens }) => tokens),
        where,
      );
      for (const [index, { ended, score }] of generations.entries()) {
        assert.equal(at(found, index).ended, ended, where);
        if (score === undefined) continue;
        const error = Math.abs((at(found, index).score ?? 0) - score);
        assert.ok(error < 1e-6 * Math.max(10, Math.abs(score)), where);
      }
    }
  }
}

describe('searches choose the tokens that transformers does', () => {
  it('greedy and beam search with every constraint', () => check('searches.json'));
  it('diverse beam search and contrastive search', () => check('deprecated-searches.json'));
  it('several options at a time', () => check('searches-together.json'));
  it('several options of the older searches at a time', () =>
    check('deprecated-searches-together.json'));
});
