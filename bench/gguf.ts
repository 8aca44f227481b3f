import type { FileHandle } from 'node:fs/promises';
import { writeAll, writeFileWhole } from '../src/base/files.js';
import { floatToHalf } from '../src/checkpoint/floats.js';
import {
  type Gpt2Config,
  innerWidth,
  layerParameter,
  type Parameters,
} from '../src/model/index.js';
import { bytesToText } from '../src/tokenizer/bytes.js';
import type { Vocabulary } from '../src/tokenizer/index.js';
import { mergesOf } from '../src/tokenizer/vocabulary.js';

// Numbers of the GGUF format, version 3.
const VERSION = 3;
const VALUE = { uint32: 4, int32: 5, float32: 6, text: 8, list: 9 } as const;
const TYPE = { f32: 0, q8: 8 } as const;
const ALIGNMENT = 32;

/** Numbers that share one scale in llama.cpp's Q8_0: a half, then 32 bytes. */
const BLOCK = 32;
const BLOCK_BYTES = 34;

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const u64 = (value: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};
const f32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
};
const text = (value: string): Buffer => {
  const bytes = Buffer.from(value);
  return Buffer.concat([u64(bytes.length), bytes]);
};
const field = (name: string, type: number, value: Buffer): Buffer =>
  Buffer.concat([text(name), u32(type), value]);
const list = (type: number, values: readonly Buffer[]): Buffer =>
  Buffer.concat([u32(type), u64(values.length), ...values]);

interface GgufTensor {
  readonly name: string;
  /** The fastest dimension first. */
  readonly shape: readonly number[];
  readonly type: 'f32' | 'q8';
  /** Row-major with the dimensions reversed. */
  readonly values: () => Float32Array;
}

/** Writes a language model as GGUF with Q8_0 matrices, as llama.cpp's own converter does. */
export async function writeGguf(
  path: string,
  parameters: Parameters,
  vocabulary: Vocabulary,
): Promise<void> {
  const { config } = parameters;
  const fields = [...describeModel(config), ...describeVocabulary(vocabulary, config)];
  const tensors = ggufTensors(parameters);
  let offset = 0;
  const entries = tensors.map(({ name, shape, type }) => {
    const entry = [text(name), u32(shape.length), ...shape.map(u64), u32(TYPE[type]), u64(offset)];
    offset += aligned(byteLength(shape, type));
    return Buffer.concat(entry);
  });
  const start = Buffer.concat([
    Buffer.from('GGUF'),
    u32(VERSION),
    u64(tensors.length),
    u64(fields.length),
    ...fields,
    ...entries,
  ]);
  await writeFileWhole(path, async (file) => {
    await writePadded(file, start);
    for (const { type, values } of tensors) {
      const numbers = values();
      const plain = new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
      await writePadded(file, type === 'f32' ? plain : toBlocks(numbers));
    }
  });
}

function describeModel(config: Gpt2Config): Buffer[] {
  return [
    field('general.architecture', VALUE.text, text('gpt2')),
    field('general.file_type', VALUE.uint32, u32(7)),
    field('gpt2.block_count', VALUE.uint32, u32(config.n_layer)),
    field('gpt2.context_length', VALUE.uint32, u32(config.n_positions)),
    field('gpt2.embedding_length', VALUE.uint32, u32(config.n_embd)),
    field('gpt2.feed_forward_length', VALUE.uint32, u32(innerWidth(config))),
    field('gpt2.attention.head_count', VALUE.uint32, u32(config.n_head)),
    field('gpt2.attention.layer_norm_epsilon', VALUE.float32, f32(config.layer_norm_epsilon)),
  ];
}

function describeVocabulary(vocabulary: Vocabulary, config: Gpt2Config): Buffer[] {
  const tokens = [...vocabulary.tokens.map((bytes) => bytesToText(bytes)), '<|endoftext|>'];
  const merges = mergesOf(vocabulary).map(([left, right]) => `${left} ${right}`);
  const kinds = tokens.map((_, id) => u32(id === tokens.length - 1 ? 3 : 1));
  return [
    field('tokenizer.ggml.model', VALUE.text, text('gpt2')),
    field('tokenizer.ggml.pre', VALUE.text, text('gpt-2')),
    field('tokenizer.ggml.tokens', VALUE.list, list(VALUE.text, tokens.map(text))),
    field('tokenizer.ggml.token_type', VALUE.list, list(VALUE.int32, kinds)),
    field('tokenizer.ggml.merges', VALUE.list, list(VALUE.text, merges.map(text))),
    field('tokenizer.ggml.bos_token_id', VALUE.uint32, u32(config.bos_token_id)),
    field('tokenizer.ggml.eos_token_id', VALUE.uint32, u32(config.eos_token_id)),
  ];
}

function ggufTensors(parameters: Parameters): GgufTensor[] {
  const { config, layout } = parameters;
  const plain = (name: string, own: string, type: 'f32' | 'q8' = 'f32'): GgufTensor => {
    const parameter = layout.find((candidate) => candidate.name === own);
    if (parameter === undefined) throw new Error(`The model has no parameter ${own}.`);
    const shape = [...parameter.shape].reverse();
    return { name, shape, type, values: () => parameters.view(parameter) };
  };
  const turned = (name: string, own: string): GgufTensor => {
    const { shape, values } = plain(name, own);
    const [columns = 0, rows = 0] = shape;
    return { name, shape: [rows, columns], type: 'q8', values: () => turn(values(), columns) };
  };
  const tensors = [
    plain('token_embd.weight', 'transformer.wte.weight', 'q8'),
    plain('position_embd.weight', 'transformer.wpe.weight'),
    plain('output_norm.weight', 'transformer.ln_f.weight'),
    plain('output_norm.bias', 'transformer.ln_f.bias'),
  ];
  const names = [
    ['attn_qkv', 'attn.c_attn'],
    ['attn_output', 'attn.c_proj'],
    ['ffn_up', 'mlp.c_fc'],
    ['ffn_down', 'mlp.c_proj'],
  ] as const;
  for (let layer = 0; layer < config.n_layer; layer++) {
    const block = `blk.${layer}`;
    for (const [name, own] of [
      ['attn_norm', 'ln_1'],
      ['ffn_norm', 'ln_2'],
    ] as const) {
      tensors.push(plain(`${block}.${name}.weight`, layerParameter(layer, `${own}.weight`)));
      tensors.push(plain(`${block}.${name}.bias`, layerParameter(layer, `${own}.bias`)));
    }
    for (const [name, own] of names) {
      tensors.push(turned(`${block}.${name}.weight`, layerParameter(layer, `${own}.weight`)));
      tensors.push(plain(`${block}.${name}.bias`, layerParameter(layer, `${own}.bias`)));
    }
  }
  return tensors;
}

/** A matrix of this many columns, transposed. */
function turn(values: Float32Array, columns: number): Float32Array {
  const rows = values.length / columns;
  const turned = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      turned[column * rows + row] = values[row * columns + column] ?? 0;
    }
  }
  return turned;
}

function toBlocks(values: Float32Array): Uint8Array {
  const blocks = Buffer.alloc((values.length / BLOCK) * BLOCK_BYTES);
  const scale = new Float32Array(1);
  const half = new Uint16Array(1);
  for (let start = 0, place = 0; start < values.length; start += BLOCK, place += BLOCK_BYTES) {
    const block = values.subarray(start, start + BLOCK);
    const step = block.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 127;
    scale[0] = step;
    floatToHalf(new Uint32Array(scale.buffer), half);
    blocks.writeUInt16LE(half[0] ?? 0, place);
    for (const [index, value] of block.entries()) {
      blocks.writeInt8(step === 0 ? 0 : Math.round(value / step), place + 2 + index);
    }
  }
  return blocks;
}

function byteLength(shape: readonly number[], type: 'f32' | 'q8'): number {
  const count = shape.reduce((product, size) => product * size, 1);
  return type === 'f32' ? count * 4 : (count / BLOCK) * BLOCK_BYTES;
}

function aligned(length: number): number {
  return Math.ceil(length / ALIGNMENT) * ALIGNMENT;
}

async function writePadded(file: FileHandle, bytes: Uint8Array): Promise<void> {
  await writeAll(file, bytes);
  await writeAll(file, new Uint8Array(aligned(bytes.byteLength) - bytes.byteLength));
}
