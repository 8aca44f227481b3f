import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { hubSettings } from '../../src/checkpoint/hub-settings.js';
import { temporaryFolder } from '../support/files.js';

describe('the settings of the hub', () => {
  it('are Python huggingface_hub’s where nothing is set', async () => {
    const settings = await hubSettings({ HOME: '/nowhere' });
    assert.equal(settings.endpoint, 'https://huggingface.co');
    assert.equal(settings.cache, '/nowhere/.cache/huggingface/hub');
    assert.equal(settings.token, undefined);
    assert.equal(settings.offline, false);
  });

  it('follow each variable, the more special one first', async () => {
    const cache = async (variables: Record<string, string>): Promise<string> =>
      (await hubSettings({ HOME: '/nowhere', ...variables })).cache;
    assert.equal(await cache({ XDG_CACHE_HOME: '/x' }), '/x/huggingface/hub');
    assert.equal(await cache({ XDG_CACHE_HOME: '/x', HF_HOME: '/h' }), '/h/hub');
    assert.equal(await cache({ HF_HOME: '/h', HUGGINGFACE_HUB_CACHE: '/l' }), '/l');
    assert.equal(await cache({ HUGGINGFACE_HUB_CACHE: '/l', HF_HUB_CACHE: '/c' }), '/c');
    assert.equal(await cache({ HF_HOME: '~/models', DISK: '/d' }), '/nowhere/models/hub');
    assert.equal(await cache({ HF_HUB_CACHE: '${DISK}/hub/$DISK', DISK: '/d' }), '/d/hub//d');
    const endpoint = { HF_ENDPOINT: 'http://mirror/', HOME: '/nowhere' };
    assert.equal((await hubSettings(endpoint)).endpoint, 'http://mirror');
    for (const [value, offline] of [
      ['1', true],
      ['true', true],
      ['YES', true],
      ['on', true],
      ['0', false],
      ['', false],
    ] as const) {
      const settings = await hubSettings({ HOME: '/nowhere', HF_HUB_OFFLINE: value });
      assert.equal(settings.offline, offline, value);
    }
  });

  it('take the token from the environment before the file', async (context) => {
    const home = await temporaryFolder(context);
    await mkdir(join(home, 'hf'));
    await writeFile(join(home, 'hf', 'token'), 'from-file\n');
    const token = async (variables: Record<string, string>): Promise<string | undefined> =>
      (await hubSettings({ HOME: home, HF_HOME: join(home, 'hf'), ...variables })).token;
    assert.equal(await token({}), 'from-file');
    assert.equal(await token({ HF_TOKEN: ' from-environment\n' }), 'from-environment');
    assert.equal(await token({ HF_TOKEN: '', HUGGING_FACE_HUB_TOKEN: 'older' }), 'older');
    await writeFile(join(home, 'elsewhere'), 'other');
    assert.equal(await token({ HF_TOKEN_PATH: join(home, 'elsewhere') }), 'other');
  });
});
