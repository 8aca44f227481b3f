import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { at, sum } from '../src/base/arrays.js';
import { Random } from '../src/base/random.js';
import { Graph, int } from '../src/graph/index.js';
import { gpt2Config, Parameters, PUBLISHED_SIZES } from '../src/model/index.js';
import { float32, Session } from '../src/runtime/index.js';
import { LossModel, makeBatch } from '../src/training/index.js';
import { type Benchmark, formatTable, median, secondsOf, temporaryFolder } from './benchmark.js';
import { readSteps, STARTER_CORPUS } from './train-steps.js';

/** Runs of each lone product, the first of which are not counted. */
const RUNS = 12;
const WARM_UP = 3;

const shapesSchema = z.array(z.record(z.string(), z.array(z.number())));

/** An operator's run in ONNX Runtime's profile. */
const kernelSchema = z.object({
  name: z.string().endsWith('_kernel_time'),
  cat: z.literal('Node'),
  dur: z.number(),
  args: z.object({
    op_name: z.string(),
    input_type_shape: shapesSchema,
    output_type_shape: shapesSchema,
  }),
});

type Kernel = z.infer<typeof kernelSchema>;

/** All products of one size in a step. */
interface Product {
  readonly inputs: readonly (readonly number[])[];
  readonly output: readonly number[];
  readonly seconds: number[];
}

/**
 * Each size of product in a training step of GPT-2 small: its rate there, by ONNX Runtime's profile,
 * beside that of a lone product of the same size.
 */
export const trainProductsBenchmark: Benchmark = {
  description:
    "a training step's products beside lone ones of the same size [--data TSV|DATASET] [--tokens 1280]",
  run: async (print) => {
    const { values } = parseArgs({
      args: process.argv.slice(2),
      allowPositionals: true,
      options: {
        data: { type: 'string', default: STARTER_CORPUS },
        tokens: { type: 'string', default: '1280' },
        json: { type: 'boolean', default: false },
      },
    });
    const kernels = await profileStep(values.data, Number(values.tokens));
    const products = productsOf(kernels);
    const rows = [['product', 'times', 'ms', 'GFLOP/s', 'alone', 'ratio']];
    let lone = 0;
    for (const product of products) {
      const operations = operationsOf(product);
      const inStep = median(product.seconds);
      const alone = await secondsAlone(product);
      lone += alone * product.seconds.length;
      rows.push([
        product.inputs.map((shape) => shape.join('x')).join(' '),
        String(product.seconds.length),
        (1000 * sum(product.seconds)).toFixed(0),
        (operations / inStep / 1e9).toFixed(0),
        (operations / alone / 1e9).toFixed(0),
        (alone / inStep).toFixed(2),
      ]);
    }
    print(formatTable(rows));
    const inStep = sum(products.map(({ seconds }) => sum(seconds)));
    const all = sum(kernels.map(({ dur }) => dur)) / 1e6;
    const figures = {
      benchmark: 'train-products',
      products: products.length,
      shareOfStep: Number((inStep / all).toFixed(3)),
      gigaflops: Math.round(
        sum(products.map((product) => operationsOf(product) * product.seconds.length)) /
          inStep /
          1e9,
      ),
      fractionOfLone: Number((lone / inStep).toFixed(3)),
    };
    print(
      `products take ${(100 * figures.shareOfStep).toFixed(0)} % of the operators' time, and run at ${(100 * figures.fractionOfLone).toFixed(0)} % of the rate that they have alone`,
    );
    return figures;
  },
};

/** The operators of the last of three steps. */
async function profileStep(data: string, tokens: number): Promise<readonly Kernel[]> {
  const config = gpt2Config({
    ...PUBLISHED_SIZES.small,
    ...{ embd_pdrop: 0, attn_pdrop: 0, resid_pdrop: 0 },
  });
  const [step] = await readSteps({ data, tokens, steps: 1 });
  if (step === undefined) throw new Error(`--data ${data}: this holds less than a step.`);
  const batch = makeBatch(step);
  await using temporary = await temporaryFolder();
  const folder = temporary.path;
  const parameters = Parameters.initialize(config, new Random(1));
  const gradients = new Parameters(config);
  const model = await LossModel.forTraining(parameters, {
    profile: join(folder, 'profile'),
    tokensAtOnce: Infinity,
  });
  for (let run = 0; run < 3; run++) {
    await model.backward(batch, 1 / batch.labels.length, gradients);
  }
  await model[Symbol.asyncDispose]();
  const [file = ''] = await readdir(folder);
  const events = z.array(z.unknown()).parse(JSON.parse(await readFile(join(folder, file), 'utf8')));
  const kernels = events.flatMap((event) => kernelSchema.safeParse(event).data ?? []);
  return kernels.slice((2 * kernels.length) / 3);
}

/** The matrix products, those of one size together; what takes longest first. */
function productsOf(kernels: readonly Kernel[]): readonly Product[] {
  const products = new Map<string, Product>();
  for (const { dur, args } of kernels) {
    if (args.op_name !== 'Gemm') continue;
    const inputs = args.input_type_shape.map((shape) => at(Object.values(shape), 0));
    const output = at(Object.values(at(args.output_type_shape, 0)), 0);
    const key = JSON.stringify([inputs, output]);
    const product = products.get(key) ?? { inputs, output, seconds: [] };
    product.seconds.push(dur / 1e6);
    products.set(key, product);
  }
  return [...products.values()].sort((a, b) => sum(b.seconds) - sum(a.seconds));
}

/** How a product takes its operands, as far as their shapes tell. */
function orientation({ inputs, output }: Product) {
  const [a = [], b = []] = inputs;
  const [rows = 0, columns = 0] = output;
  const transA = a[0] !== rows;
  return { a, b, rows, columns, inner: at(a, transA ? 0 : 1), transA, transB: b[1] !== columns };
}

function operationsOf(product: Product): number {
  const { rows, columns, inner } = orientation(product);
  return 2 * rows * columns * inner;
}

/** The median time of the same product when nothing else runs. */
async function secondsAlone(product: Product): Promise<number> {
  const { a, b, transA, transB } = orientation(product);
  const graph = new Graph();
  const operands = product.inputs.map((shape, index) => graph.input(`x${index}`, 'float32', shape));
  const attributes = { transA: int(transA), transB: int(transB) };
  const output = { type: 'float32', shape: product.output } as const;
  const [result] = graph.node('Gemm', operands, [output], attributes);
  if (result === undefined) throw new Error('A node of one output made none.');
  graph.output('product', result);
  await using session = await Session.create(graph, { inPlace: true });
  const tensor = (shape: readonly number[]) =>
    float32(new Float32Array(shape.reduce((total, length) => total * length, 1)).fill(0.5), shape);
  const feeds = Object.fromEntries(
    [a, b, ...product.inputs.slice(2)].map((shape, index) => [`x${index}`, tensor(shape)]),
  );
  const fetches = { product: tensor(product.output) };
  const seconds: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    seconds.push(await secondsOf(() => session.run(feeds, fetches)));
  }
  return median(seconds.slice(WARM_UP));
}
