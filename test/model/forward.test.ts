import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { Graph, matmul } from '../../src/graph/index.js';
import {
  forward,
  parameterInputs,
  type Parameters,
  raggedAttention,
  raggedLayoutInputs,
  TOKEN_EMBEDDING,
} from '../../src/model/index.js';
import { float32, floatsOf, Session } from '../../src/runtime/index.js';
import { makeBatch } from '../../src/training/index.js';
import { toGoldenExample } from '../support/examples.js';
import { goldenJson, goldenModel, goldenRow } from '../support/golden.js';
import { assertClose } from '../support/numbers.js';

const logitsCase = z.object({ logits_float64: z.array(z.array(z.array(z.number()))) });
const goldenSchema = z.object({
  rows: z.array(goldenRow),
  plain: logitsCase,
  token_types: logitsCase,
});

/** Logits of every token of a ragged batch. */
function logitsGraph(parameters: Parameters, tokenTypes: boolean, fused: boolean): Graph {
  const graph = new Graph({ fused });
  const parameter = parameterInputs(graph, parameters.config);
  const input = (name: string) => graph.input(name, 'int64', ['tokens']);
  const tokens = {
    ids: input('ids'),
    positions: input('positions'),
    ...(tokenTypes ? { types: input('types') } : {}),
  };
  const attention = raggedAttention(parameters.config, raggedLayoutInputs(graph));
  const hidden = forward(parameters.config, parameter, tokens, attention);
  graph.output('logits', matmul(hidden, parameter(TOKEN_EMBEDDING), { transposeB: true }));
  return graph;
}

describe('forward', () => {
  for (const kind of ['plain', 'token_types'] as const) {
    for (const fused of [true, false]) {
      it(`gives PyTorch's logits, ${kind}, ${fused ? 'fused' : 'standard'} operators`, async () => {
        const golden = await goldenJson(goldenSchema, 'gpt2', 'gradients.json');
        const parameters = await goldenModel('tiny');
        const tokenTypes = kind === 'token_types';
        const { feeds } = makeBatch(golden.rows.map(toGoldenExample), tokenTypes);
        const graph = logitsGraph(parameters, tokenTypes, fused);
        await using session = await Session.create(graph, { threads: 1 });
        const inputs = new Set(graph.inputs.map(({ name }) => name));
        const weights = parameters.layout.map(
          (parameter) =>
            [parameter.name, float32(parameters.view(parameter), parameter.shape)] as const,
        );
        const read = Object.entries(feeds).filter(([name]) => inputs.has(name));
        const results = await session.run(Object.fromEntries([...weights, ...read]), {
          logits: null,
        });
        const actual = floatsOf(results.logits);
        const expected = golden[kind].logits_float64.flat(2);
        assert.equal(actual.length, expected.length);
        assertClose(actual, expected, 1e-5, 'logits');
      });
    }
  }
});
