import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { z } from 'zod';
import { downloadModel } from '../../src/checkpoint/hub.js';
import { golden, repository, temporaryFolder } from '../support/files.js';
import { startHub } from '../support/hub.js';

const main = join(repository, 'dist', 'src', 'cli', 'main.js');

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `dialogpt` with these arguments and these variables of the environment. */
async function dialogpt(
  words: readonly string[],
  variables: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  const env = { ...process.env, HF_HUB_OFFLINE: '0', HF_TOKEN: '', ...variables };
  try {
    return { code: 0, ...(await promisify(execFile)(process.execPath, [main, ...words], { env })) };
  } catch (error) {
    return z.object({ code: z.number(), stdout: z.string(), stderr: z.string() }).parse(error);
  }
}

describe('dialogpt info, models and convert', () => {
  it('download a model, list it and describe it', async (context) => {
    const cache = await temporaryFolder(context);
    const files = new Map([
      ['config.json', Buffer.from('{"vocab_size":2,"n_positions":2,"n_embd":1,"n_layer":0}')],
    ]);
    const commit = 'abcdef0123456789abcdef0123456789abcdef01';
    const hub = await startHub(context, { id: 'someone/tiny', commit, files });
    const variables = { HF_HUB_CACHE: cache, HF_ENDPOINT: hub.endpoint };
    const refused = await dialogpt(['info', 'someone/tiny'], variables);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /there is no model\.safetensors/);
    const absent = await dialogpt(['info', 'someone/else'], variables);
    assert.match(absent.stderr, /someone\/else .* 404: there is no such model/);
    assert.doesNotMatch(absent.stderr, /unexpected| {4}at /);
    await assert.rejects(downloadModel('someone/tiny', { settings: hub.settings(cache) }));
    const { stdout } = await dialogpt(['models', '--json'], variables);
    assert.deepEqual(z.object({ cache: z.string() }).parse(JSON.parse(stdout)).cache, cache);
  });

  it('describe a local file, for people and as JSON', async () => {
    const file = golden('checkpoint', 'updown.pth');
    const { stdout } = await dialogpt(['info', file]);
    assert.match(stdout, /ranks replies/);
    assert.match(stdout, /parameters +7,840/);
    const json = await dialogpt(['info', file, '--json']);
    const schema = z.object({ parameters: z.number(), dtypes: z.array(z.string()) });
    assert.deepEqual(schema.parse(JSON.parse(json.stdout)), { parameters: 7840, dtypes: ['F32'] });
  });

  it('say what is wrong', async (context) => {
    const out = join(await temporaryFolder(context), 'out');
    const evil = await dialogpt(['convert', golden('checkpoint', 'evil-zip.pt'), out]);
    assert.equal(evil.code, 1);
    assert.match(evil.stderr, /"posix\.system" is not allowed/);
    const format = await dialogpt(['convert', 'x', out, '--to', 'gguf']);
    assert.equal(format.code, 2);
  });
});
