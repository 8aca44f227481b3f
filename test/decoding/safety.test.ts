import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { UserError } from '../../src/base/errors.js';
import {
  BlockList,
  type GenerationOptions,
  type Intervention,
  loadModel,
  OnnxClassifier,
  type ReplySummary,
  type SafetyClassifier,
  streamReply,
} from '../../src/decoding/index.js';
import { Tokenizer, trainVocabulary } from '../../src/tokenizer/index.js';
import { golden, repository } from '../support/files.js';
import { fc } from '../support/properties.js';
import { scriptedReader } from '../support/scripted.js';

// A token for each byte, so that texts come in the smallest pieces.
const tokenizer = new Tokenizer(trainVocabulary([], 257));
const ENTRIES = ['shit', 'kill yourself', 'kys'];
const unguarded: GenerationOptions = {
  maxNewTokens: 120,
  noRepeatReplyNgramSize: 0,
  noRepeatHistoryNgramSize: 0,
  refusal: 'No.',
};
const plain: GenerationOptions = { ...unguarded, safety: true, blockList: ENTRIES };

/** What is shown when a model says these texts, piece by piece. */
async function say(
  texts: readonly string[],
  options: GenerationOptions = {},
  classifier?: SafetyClassifier,
) {
  const interventions: Intervention[] = [];
  let summary: ReplySummary | undefined;
  const pieces: string[] = [];
  const reader = scriptedReader(tokenizer, texts);
  for await (const piece of streamReply(
    reader,
    tokenizer,
    ['hi'],
    { ...plain, ...options },
    {
      ...(classifier === undefined ? {} : { classifier }),
      onIntervention: (told) => interventions.push(told),
      onSummary: (told) => {
        summary = told;
      },
    },
  )) {
    pieces.push(piece);
  }
  return { pieces, interventions, summary };
}

const actions = (interventions: readonly Intervention[]) => interventions.map((one) => one.action);

describe('a streamed reply with a block list', () => {
  it('comes in pieces, and holds back only what could become an entry', async () => {
    const { pieces, interventions, summary } = await say(['a kilo of shitake']);
    assert.equal(pieces.join(''), 'a kilo of shitake');
    assert.deepEqual(interventions, []);
    // White space waits for what follows it, and `kil` and `shit` for the letter that clears them.
    assert.deepEqual(pieces, ['a', ' kilo', ' o', 'f', ' shita', 'k', 'e']);
    assert.equal(summary?.finish, 'stop');
    assert.equal(summary.completionTokens, 'a kilo of shitake'.length);
  });

  it('is generated anew where nothing has been shown', async () => {
    const { pieces, interventions, summary } = await say(['shit happens', 's.h.i.t', 'fine']);
    assert.equal(pieces.join(''), 'fine');
    assert.deepEqual(actions(interventions), ['withheld', 'withheld']);
    assert.match(interventions[1]?.message ?? '', /it contains "s\.h\.i\.t"/);
    assert.equal(summary?.completionTokens, 4);
    assert.ok(summary.generatedTokens > 4 + 's.h.i.t'.length);
  });

  it('is refused at last', async () => {
    const { pieces, interventions, summary } = await say(['shit']);
    assert.deepEqual(pieces, ['No.']);
    assert.deepEqual(actions(interventions), ['withheld', 'withheld', 'withheld', 'refused']);
    assert.equal(summary?.finish, 'content-filter');
  });

  it('starts otherwise in each attempt where nothing is drawn', async () => {
    const greedy = { doSample: false, blockList: ['shit', 'kys', 'no'] };
    const second = await say(['shit', 'fine'], greedy);
    assert.equal(second.pieces.join(''), 'fine');
    assert.deepEqual(actions(second.interventions), ['withheld']);
    const third = await say(['shit', 'kys', 'no'], greedy);
    assert.deepEqual(third.pieces, ['No.']);
    assert.deepEqual(actions(third.interventions), ['withheld', 'withheld', 'withheld', 'refused']);
    // The model would say the same again, but may not.
    const stubborn = await say(['shit'], greedy);
    assert.match(stubborn.pieces.join(''), /^[^s]hit$/);
  });

  it('ends before the entry where something has been shown', async () => {
    const { pieces, interventions, summary } = await say(['well, go kill yourself now']);
    assert.equal(pieces.join(''), 'well, go');
    assert.deepEqual(actions(interventions), ['cut']);
    assert.equal(interventions[0]?.entry, 'kill yourself');
    assert.equal(summary?.finish, 'content-filter');
  });

  it('comes unchecked without safety', async () => {
    const pieces: string[] = [];
    const reader = scriptedReader(tokenizer, ['oh shit']);
    const options = { ...unguarded, safety: false };
    for await (const piece of streamReply(reader, tokenizer, ['hi'], options)) pieces.push(piece);
    assert.equal(pieces.join(''), 'oh shit');
  });

  it('never shows an entry, and shows all that has none', async () => {
    const list = new BlockList(ENTRIES);
    const part = fc.constantFrom(
      ...['shit', 'sh', 'i', 't', 's', 'h', 'ky', 'kys', 'kill', 'yourself', 'your', 'self'],
      ...[' ', ' ', '.', '!', '$', '1', 'é', 'a', '  ', '\u200b', '-', 'K', 'і', '🙂', '\n', '*'],
    );
    const texts = fc.array(part, { minLength: 1, maxLength: 12 }).map((parts) => parts.join(''));
    await fc.assert(
      fc.asyncProperty(texts, async (text) => {
        fc.pre(text.trim() !== '' && text === text.trimStart());
        const { pieces, interventions } = await say([text]);
        let shown = '';
        for (const piece of pieces) {
          shown += piece;
          assert.equal(list.find(shown), undefined, shown);
        }
        const blocked = list.find(text.trim()) !== undefined;
        assert.equal(interventions.length > 0, blocked);
        if (!blocked) assert.equal(shown, text.trim());
        else assert.ok(shown === 'No.' || text.startsWith(shown));
      }),
      { numRuns: 200 },
    );
  });
});

describe('BlockList', () => {
  it('finds words however they are disguised, and no others', () => {
    const list = new BlockList();
    const blocked = [
      ...['SHIT', 'shits', '$h1t', 's.h.i.t', 's h i t', 'shiiit', 'ѕhіт', 's\u200bhit', 'shıt'],
      ...[
        'sh*t',
        's**t',
        's***!',
        'f*cking',
        'b****',
        'kill-yourself',
        'k*ll yourself',
        'bullshit',
      ],
    ];
    for (const text of blocked) assert.notEqual(list.find(`oh ${text} then`), undefined, text);
    const free = [
      ...['shitake', 'Scunthorpe', 'grape', 'skill yourself', 'this hit', 'assess the bass'],
      ...['s*', '**so**', '*sighs*', '2 * 3', '*', 'sh', 'f * k', '****'],
    ];
    for (const text of free) assert.equal(list.find(`oh ${text} then`), undefined, text);
  });

  it('takes any entry', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (entry, text) => {
        const list = new BlockList([entry]);
        list.find(text);
        assert.ok(list.safeLength(text) <= text.length);
      }),
      { numRuns: 30 },
    );
    assert.equal(new BlockList(['f-word']).find('an f-word here')?.found, 'f-word');
    assert.equal(new BlockList(['c++']).find('I like c++ much')?.entry, 'c++');
    assert.equal(new BlockList(['\u0301', ' ']).find('anything'), undefined);
  });
});

describe('a safety classifier', () => {
  const classifier: SafetyClassifier = {
    classify: (text) =>
      Promise.resolve([{ label: 'rude', score: text.includes('awful') ? 0.8 : 0.1 }]),
  };

  it('sees whole replies before a word is said', async () => {
    const { pieces, interventions } = await say(['how awful', 'how nice'], {}, classifier);
    assert.deepEqual(pieces, ['how nice']);
    assert.deepEqual(interventions, [
      {
        action: 'withheld',
        entry: 'rude',
        message: 'A reply was withheld because the classifier calls it rude (80 %).',
      },
    ]);
  });

  it('objects from its threshold on, and not without safety', async () => {
    const lax = await say(['how awful'], { safetyThreshold: 0.9 }, classifier);
    assert.equal(lax.pieces.join(''), 'how awful');
    const reader = scriptedReader(tokenizer, ['how awful']);
    let text = '';
    const options = { ...unguarded, safety: false };
    for await (const piece of streamReply(reader, tokenizer, ['hi'], options, { classifier })) {
      text += piece;
    }
    assert.equal(text, 'how awful');
  });
});

const TRANSFORMERS = join(repository, 'node_modules', '@huggingface', 'transformers');

describe(
  'OnnxClassifier',
  { skip: !existsSync(TRANSFORMERS) && 'needs the package @huggingface/transformers' },
  () => {
    const path = golden('classifier');

    it('tells labels with their probabilities, harmless ones left out', async () => {
      const classifier = await OnnxClassifier.load({ path });
      const [awful] = await classifier.classify('an AWFUL day');
      assert.equal(awful?.label, 'toxic');
      // The logits are -2 + 2 · 0.1 and 6 - 2 · 0.1.
      assert.ok(Math.abs(awful.score - 1 / (1 + Math.exp(-1.8 - 5.8))) < 1e-5);
      const [nice] = await classifier.classify('nice');
      assert.ok((nice?.score ?? 1) < 0.5);
    });

    it('takes the labels that it is told', async () => {
      const classifier = await OnnxClassifier.load({ path, labels: ['safe'] });
      assert.deepEqual(
        (await classifier.classify('nice')).map(({ label }) => label),
        ['safe'],
      );
      const other = await OnnxClassifier.load({ path, labels: ['rude'] });
      await assert.rejects(other.classify('nice'), UserError);
    });

    it('is loaded with a model, whose replies it withholds', async () => {
      const safetyClassifier = { path, labels: ['safe'] };
      const folder = golden('ranking', 'reverse');
      await using model = await loadModel(folder, { safetyClassifier, threads: 1 });
      const told: Intervention[] = [];
      let text = '';
      const options = { safety: true, seed: 1, maxNewTokens: 5, refusal: 'No.' };
      for await (const piece of model.reply(['hi'], {
        ...options,
        onIntervention: (intervention) => told.push(intervention),
      })) {
        text += piece;
      }
      assert.equal(text, 'No.');
      assert.deepEqual(actions(told), ['withheld', 'withheld', 'withheld', 'refused']);
      assert.equal(told[0]?.entry, 'safe');
    });

    it('says what is missing', async () => {
      await assert.rejects(OnnxClassifier.load({ path: golden('ranking') }), (error: unknown) => {
        assert.ok(error instanceof UserError);
        assert.ok(error.message.startsWith(`${golden('ranking')}: this is no text classifier`));
        return true;
      });
    });
  },
);
