export {
  type Example,
  IGNORED_LABEL,
  labelCount,
  toExample,
  type TokenizedDialogue,
} from './example.js';
