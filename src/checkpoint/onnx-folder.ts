import { join } from 'node:path';
import { writeFileWhole } from '../base/files.js';
import { type Graph, serialize } from '../graph/index.js';
import { type ParameterTensors } from '../model/index.js';
import { END_OF_TEXT, saveVocabulary, type Vocabulary } from '../tokenizer/index.js';
import { bytesToText } from '../tokenizer/bytes.js';
import { mergesOf } from '../tokenizer/vocabulary.js';
import {
  type Checkpoint,
  modelConfig,
  type RankerCheckpoint,
  saveGenerationConfig,
  writeJson,
} from './folder.js';
import { decoderGraph, rankerGraph } from './onnx-graph.js';
import { OnnxWeights, type Precision } from './onnx-weights.js';
import { RANKING_HEAD } from './parameters.js';

/** What `transformers.js` calls the model's file at each of its `dtype`s. */
const fileNames: Readonly<Record<Precision, string>> = {
  fp32: 'model',
  fp16: 'model_fp16',
  int8: 'model_quantized',
};

/**
 * Writes a model into `folder` in the layout of `transformers.js`: `onnx/model.onnx` (`model_fp16`,
 * `model_quantized`), its weights beside it in `….onnx_data`, `config.json`, and the tokenizer with
 * its `tokenizer.json`. A language model has past keys and values, a ranking model gives a score
 * for a row. Several precisions may lie in one folder.
 */
export async function saveOnnx(
  folder: string,
  checkpoint: Checkpoint | RankerCheckpoint,
  precision: Precision,
): Promise<void> {
  const { parameters, tokenizer } = checkpoint;
  const { config } = parameters;
  const file = `${fileNames[precision]}.onnx`;
  const weights = new OnnxWeights(parameters, precision, `${file}_data`);
  const declare = (target: Graph): ParameterTensors => weights.declare(target);
  const score = 'score' in checkpoint ? checkpoint.score : undefined;
  const graph =
    score === undefined
      ? decoderGraph(config, declare)
      : rankerGraph(config, declare, (target) =>
          weights.declareNumbers(target, RANKING_HEAD, [1, score.length], score),
        );
  weights.finish(graph);
  await writeFileWhole(join(folder, 'onnx', `${file}_data`), (output) => weights.write(output));
  await writeFileWhole(join(folder, 'onnx', file), serialize(graph));
  await writeJson(join(folder, 'config.json'), {
    ...modelConfig(config, score !== undefined),
    'transformers.js_config': { use_external_data_format: true },
  });
  if (score === undefined) await saveGenerationConfig(folder, config);
  await saveVocabulary(folder, tokenizer.vocabulary, config.n_positions);
  await writeJson(join(folder, 'tokenizer.json'), tokenizerJson(tokenizer.vocabulary));
}

/** The one file from which Hugging Face's `tokenizers` makes a tokenizer. */
function tokenizerJson(vocabulary: Vocabulary): object {
  const { tokens } = vocabulary;
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true };
  const ids = new Map(tokens.map((bytes, id) => [bytesToText(bytes), id]));
  const end = {
    id: tokens.length,
    content: END_OF_TEXT,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [end],
    normalizer: null,
    pre_tokenizer: { ...byteLevel, use_regex: true },
    post_processor: { ...byteLevel, use_regex: true },
    decoder: { ...byteLevel, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: '',
      end_of_word_suffix: '',
      fuse_unk: false,
      byte_fallback: false,
      vocab: Object.fromEntries(ids.set(END_OF_TEXT, tokens.length)),
      merges: mergesOf(vocabulary).map(([left, right]) => `${left} ${right}`),
    },
  };
}
