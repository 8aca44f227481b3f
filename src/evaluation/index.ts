export { cleanText } from './clean.js';
export { chrf, chrfMetric } from './chrf.js';
export { cider, ciderMetric } from './cider.js';
export { averageLength, distinct, diversity, type Diversity, entropy } from './diversity.js';
export {
  dstcCorpus,
  type DstcOptions,
  humanResponses,
  type KeyedReferences,
  readKeyedReferences,
  readKeys,
} from './dstc.js';
export {
  type EvaluateOptions,
  type Evaluation,
  type Evaluations,
  evaluateSystems,
  type SystemCorpus,
} from './evaluate.js';
export { krippendorffAlpha } from './judge/agreement.js';
export {
  type Judgement,
  QUESTIONS,
  type Rating,
  readJudgements,
  readRatings,
} from './judge/judgements.js';
export { createJudgeServer } from './judge/server.js';
export { JudgingSession } from './judge/session.js';
export { formatTally, tallyFile, type TallyResult } from './judge/tally-file.js';
export { type Tally, tallyJudgements } from './judge/tally.js';
export { type Corpus, type Metric, scoreCorpus } from './metric.js';
export { meteor, meteorMetric, meteorStages } from './meteor/meteor.js';
export {
  METEOR_DATA_ADVICE,
  type MeteorResources,
  NO_METEOR_RESOURCES,
  readMeteorResources,
} from './meteor/resources.js';
export { bleu, mtevalMetric, mtevalWords, nist } from './mteval.js';
export { formatReport, REPORT_FORMATS, type ReportFormat } from './report/formats.js';
export { PUBLISHED, type PublishedName, type PublishedTable } from './report/published.js';
export type { Report } from './report/report.js';
export { rougeL, rougeLMetric } from './rouge.js';
export {
  DSTC_REFERENCES,
  evaluateFiles,
  evaluateModel,
  type ModelEvaluationOptions,
  type RunOptions,
} from './run.js';
export { type ModelRun, modelResponses } from './model-responses.js';
export { type PresetName, presetOptions, PRESETS } from './presets.js';
export { sacreBleu, sacreBleuMetric } from './sacrebleu.js';
export { type Comparison, compareSystems } from './significance.js';
export { pairTexts, type ParallelTexts, readTexts } from './texts.js';
