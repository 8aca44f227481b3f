export { buildDataset, type BuildOptions, type BuildProgress } from './build.js';
export {
  Dataset,
  DATASET_FILE,
  type DatasetDescription,
  type DatasetShard,
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
export { cutByTurns, LONG_MODES, type LongMode, splitDialogue } from './split.js';
export { DEDUPLICATIONS, type Deduplication } from './seen-dialogues.js';
export { datasetStatistics, type DatasetStatistics } from './statistics.js';
