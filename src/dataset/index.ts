export { buildDataset, type BuildOptions } from './build.js';
export {
  Dataset,
  DATASET_FILE,
  type DatasetDescription,
  readDescription,
  type Split,
  type SplitDescription,
  SPLITS,
} from './dataset.js';
export {
  type Example,
  IGNORED_LABEL,
  labelCount,
  toExample,
  type TokenizedDialogue,
} from './example.js';
export { trainTokenizer } from './vocabulary.js';
export { LONG_MODES, type LongMode, splitDialogue } from './split.js';
