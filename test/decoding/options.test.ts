import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { UserError } from '../../src/base/errors.js';
import { type GenerationOptions, generationOptions } from '../../src/decoding/index.js';

/** Options that cannot be, and the option that the error names. */
const wrong: readonly (readonly [GenerationOptions, string])[] = [
  [{ temperature: 0 }, 'temperature'],
  [{ topP: 1.5 }, 'topP'],
  [{ minP: -0.1 }, 'minP'],
  [{ typicalP: 0 }, 'typicalP'],
  [{ maxNewTokens: 0 }, 'maxNewTokens'],
  [{ maxNewTokens: 5, maxLength: 20 }, 'maxLength'],
  [{ maxNewTokens: 5, minNewTokens: 6 }, 'minNewTokens'],
  [{ maxLength: 5, minLength: 6 }, 'minLength'],
  [{ minNewTokens: 0, minLength: 6 }, 'minLength'],
  [{ doSample: false, temperature: 0.5 }, 'temperature'],
  [{ doSample: false, topK: 5 }, 'topK'],
  [{ numBeams: 4, topP: 0.5 }, 'topP'],
  [{ lengthPenalty: 2 }, 'lengthPenalty'],
  [{ earlyStopping: true }, 'earlyStopping'],
  [{ doSample: false, numReturnSequences: 2 }, 'numReturnSequences'],
  [{ numBeams: 2, numReturnSequences: 3 }, 'numReturnSequences'],
  [{ numBeams: 5, numBeamGroups: 2, diversityPenalty: 1 }, 'numBeamGroups'],
  [{ numBeams: 4, numBeamGroups: 2 }, 'diversityPenalty'],
  [{ numBeams: 4, diversityPenalty: 1 }, 'diversityPenalty'],
  [{ numBeams: 4, numBeamGroups: 2, diversityPenalty: 1, doSample: true }, 'numBeamGroups'],
  [{ penaltyAlpha: 0.6, doSample: true }, 'penaltyAlpha'],
  [{ penaltyAlpha: 0.6, numBeams: 3 }, 'penaltyAlpha'],
  [{ penaltyAlpha: 0.6, topK: 1 }, 'topK'],
  [{ numCandidates: 4, numReturnSequences: 4 }, 'numCandidates'],
  [{ doSample: false, numCandidates: 2 }, 'numCandidates'],
  [{ numBeams: 2, numCandidates: 3 }, 'numCandidates'],
  [{ rerank: 'mmi' }, 'rerank'],
  [{ blockList: ['x'] }, 'blockList'],
];

describe('generation options', () => {
  for (const [options, name] of wrong) {
    it(`refuse ${JSON.stringify(options)}`, () => {
      assert.throws(
        () => generationOptions(options),
        (error) => error instanceof UserError && error.message.includes(`option ${name}:`),
      );
    });
  }

  it('take sequences for candidates to rank', () => {
    const { numReturnSequences } = generationOptions({ rerank: 'mmi', numReturnSequences: 3 });
    assert.equal(numReturnSequences, 3);
  });

  it('refuse what is no option by its name', () => {
    const unknown = { top_k: 5, topK: 5 };
    assert.throws(() => generationOptions(unknown), /top_k: there is no such option/);
  });

  it('leave the fewest tokens to whichever option says them', () => {
    assert.equal(generationOptions().minNewTokens, 1);
    assert.equal(generationOptions({ minLength: 9 }).minNewTokens, 0);
    assert.equal(generationOptions({ minNewTokens: 4 }).minNewTokens, 4);
  });

  it('draw at random unless beams or contrastive search are asked for', () => {
    assert.equal(generationOptions().doSample, true);
    assert.equal(generationOptions({ numBeams: 3 }).doSample, false);
    assert.equal(generationOptions({ penaltyAlpha: 0.5 }).doSample, false);
    assert.equal(generationOptions({ numBeams: 3, doSample: true, topK: 9 }).doSample, true);
  });
});
