export { cleanText } from './clean.js';
export { chrf, chrfMetric } from './chrf.js';
export { cider, ciderMetric } from './cider.js';
export { averageLength, distinct, diversity, type Diversity, entropy } from './diversity.js';
export { type Corpus, type Metric, scoreCorpus } from './metric.js';
export { meteor, meteorMetric, meteorStages } from './meteor/meteor.js';
export {
  type MeteorResources,
  NO_METEOR_RESOURCES,
  readMeteorResources,
} from './meteor/resources.js';
export { bleu, mtevalMetric, mtevalWords, nist } from './mteval.js';
export { rougeL, rougeLMetric } from './rouge.js';
export { sacreBleu, sacreBleuMetric } from './sacrebleu.js';
