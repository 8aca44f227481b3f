import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { type Gpt2Config, type Parameter, parameterLayout } from '../model/index.js';
import { mergesText, vocabularyJson } from '../tokenizer/index.js';
import { isQuantizable } from './byte-matrices.js';
import { modelConfig, openTokenizer } from './folder.js';
import { int8File } from './int8-cache.js';
import { openParameters, type StoredParameters } from './parameters.js';
import { encodeHeader, storedBytes, type TensorEntry } from './safetensors-format.js';
import { SCALE } from './scales.js';
import { areStoredAs, type DecodingType } from './stored-weights.js';
import { type FilePlace, isFloatType, type TensorSource } from './tensor-source.js';

/** A file that is made as it is read. */
export interface PortableFile {
  readonly name: string;
  /** Its type, as HTTP names it. */
  readonly type: string;
  /** In bytes. */
  readonly size: number;
  /** Its bytes, piece by piece. */
  content(): Iterable<Uint8Array<ArrayBuffer>> | AsyncIterable<Uint8Array<ArrayBuffer>>;
}

/** A model as the files of a folder. */
export interface PortableFolder {
  readonly files: readonly PortableFile[];
  /** Changes when the model does. */
  readonly version: string;
}

/** How many bytes are read at once. */
const PIECE = 1 << 22;

/**
 * A language model as the files of a folder that `dialogpt/browser` loads (`config.json`,
 * `vocab.json`, `merges.txt`, `model.safetensors`), whatever its format on disk: PyTorch's files,
 * several shards, an adapter with its base. Nothing is written; weights come from where they lie.
 *
 * @param dtype `int8` gives 8-bit weights, a quarter of the size; `fp32` those of the model, halves
 *   and bytes as they are
 * @throws UserError as {@link openParameters}.
 */
export async function portableFolder(path: string, dtype: DecodingType): Promise<PortableFolder> {
  const own = await openParameters(path);
  const tokenizer = await openTokenizer(path, own.config);
  const { vocabulary } = tokenizer;
  const isInt8 = areStoredAs(own.config, own.sources, 'int8');
  const stored = dtype === 'fp32' || isInt8 ? own : await openParameters(await int8File(path));
  const { config } = own;
  const storedType = dtype === 'int8' || isInt8 ? 'int8' : 'F32';
  const json = JSON.stringify(modelConfig(config, false, storedType));
  const files = [
    textFile('config.json', 'application/json', json),
    textFile('vocab.json', 'application/json', vocabularyJson(vocabulary)),
    textFile('merges.txt', 'text/plain; charset=utf-8', mergesText(vocabulary)),
    weightsFile(config, stored),
  ];
  const hash = createHash('sha256').update(json).update(mergesText(vocabulary));
  for (const file of stored.files) {
    const { size, mtimeMs } = await stat(file);
    hash.update(`${file} ${size} ${mtimeMs}\n`);
  }
  return { files, version: hash.digest('base64url').slice(0, 22) };
}

function textFile(name: string, type: string, text: string): PortableFile {
  const bytes = new TextEncoder().encode(text);
  return {
    name,
    type,
    size: bytes.length,
    content: () => [bytes],
  };
}

/** A tensor of the file of weights, and how its bytes are read. */
interface Stretch extends TensorEntry {
  read(): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined>;
}

function weightsFile(config: Gpt2Config, { sources }: StoredParameters): PortableFile {
  const stretches = parameterLayout(config)
    .flatMap((parameter) => stretchesOf(parameter, sources.get(parameter.name)))
    // Larger elements first, so that each tensor lies where its type may.
    .sort((one, other) => widthOf(other) - widthOf(one));
  const name = 'model.safetensors';
  const header = encodeHeader(name, stretches);
  return {
    name,
    type: 'application/octet-stream',
    size: stretches.reduce((total, stretch) => total + storedBytes(stretch), header.length),
    async *content() {
      yield header;
      for (const stretch of stretches) yield* stretch.read();
    },
  };
}

function widthOf({ dtype }: TensorEntry): number {
  return storedBytes({ dtype, shape: [1] });
}

function stretchesOf({ name, shape }: Parameter, source: TensorSource | undefined): Stretch[] {
  if (source === undefined) throw new Error(`The model has no parameter ${name}.`);
  const { dtype, place, scalePlace } = source;
  if (place !== undefined && scalePlace !== undefined && isQuantizable({ name, shape })) {
    return [
      { name, shape, dtype, read: () => bytesAt(place) },
      {
        name: `${name}${SCALE}`,
        shape: [scalePlace.length / Float32Array.BYTES_PER_ELEMENT],
        dtype: 'F32',
        read: () => bytesAt(scalePlace),
      },
    ];
  }
  if (place !== undefined && scalePlace === undefined && isFloatType(dtype)) {
    return [{ name, shape, dtype, read: () => bytesAt(place) }];
  }
  const count = shape.reduce((product, size) => product * size, 1);
  return [{ name, shape, dtype: 'F32', read: () => floatsFrom(source, count) }];
}

async function* bytesAt({
  source,
  offset,
  length,
}: FilePlace): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
  for (let done = 0; done < length; done += PIECE) {
    const piece = new Uint8Array(Math.min(PIECE, length - done));
    await source((reader) => reader.read(offset + done, piece));
    yield piece;
  }
}

async function* floatsFrom(
  source: TensorSource,
  count: number,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
  const most = PIECE / Float32Array.BYTES_PER_ELEMENT;
  for (let start = 0; start < count; start += most) {
    const piece = new Float32Array(Math.min(most, count - start));
    await source.readInto(piece, start);
    yield new Uint8Array(piece.buffer);
  }
}
