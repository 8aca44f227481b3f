import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { at, sum } from '../../src/base/arrays.js';
import { UserError } from '../../src/base/errors.js';
import { listCachedModels } from '../../src/checkpoint/hub-listing.js';
import { type HubSettings } from '../../src/checkpoint/hub-settings.js';
import { downloadModel } from '../../src/checkpoint/hub.js';
import { loadParameters } from '../../src/checkpoint/parameters.js';
import { resolveModel } from '../../src/checkpoint/resolve.js';
import { verifyModel } from '../../src/checkpoint/verify.js';
import { golden, temporaryFolder } from '../support/files.js';
import { runCommand } from '../support/command.js';
import { makeTinyModel } from '../support/tiny.js';
import {
  gitBlobName,
  type HubContent,
  type LoopbackHub,
  startHub,
  startProxy,
} from '../support/hub.js';

const commit = '0123456789abcdef0123456789abcdef01234567';

async function folderFiles(name: string): Promise<Map<string, Buffer>> {
  const folder = golden('checkpoint', name);
  const names = (await readdir(folder)).sort();
  return new Map(
    await Promise.all(
      names.map(async (file) => [file, await readFile(join(folder, file))] as const),
    ),
  );
}

interface Scene {
  readonly hub: LoopbackHub;
  readonly content: HubContent;
  readonly settings: HubSettings;
}

/** A hub with one model, and an empty cache. */
async function scene(context: TestContext, changes: Partial<HubContent> = {}): Promise<Scene> {
  const files = await folderFiles('safetensors-f32');
  files.set('README.md', Buffer.from('not needed'));
  const content = { id: 'someone/tiny', commit, files, ...changes };
  const hub = await startHub(context, content);
  return { hub, content, settings: hub.settings(await temporaryFolder(context)) };
}

function refuses(work: Promise<unknown>, words: RegExp): Promise<void> {
  return assert.rejects(work, (error) => {
    assert.ok(error instanceof UserError, String(error));
    assert.match(error.message, words);
    return true;
  });
}

const tiny = 'someone/tiny';

describe('downloading a model', () => {
  it('lays out the cache as Python does, and loads from it', async (context) => {
    const { hub, content, settings } = await scene(context);
    const progress: string[] = [];
    const folder = await downloadModel(tiny, {
      settings,
      progress: (file, done, total) => progress.push(`${file} ${done}/${total}`),
    });
    const model = join(settings.cache, 'models--someone--tiny');
    assert.equal(folder, join(model, 'snapshots', commit));
    assert.equal(await readFile(join(model, 'refs', 'main'), 'utf8'), commit);
    assert.deepEqual((await readdir(folder)).sort(), [
      'config.json',
      'generation_config.json',
      'model.safetensors',
    ]);
    const config = content.files.get('config.json') ?? Buffer.alloc(0);
    assert.equal(await readlink(join(folder, 'config.json')), `../../blobs/${gitBlobName(config)}`);
    assert.match(await readlink(join(folder, 'model.safetensors')), /^\.\.\/\.\.\/blobs\/\w{64}$/);
    assert.deepEqual(
      (await loadParameters(folder)).buffer,
      (await loadParameters(golden('checkpoint', 'safetensors-f32'))).buffer,
    );
    assert.ok(progress.includes('model.safetensors 33856/33856'));
    assert.ok(hub.requests.every(({ path }) => !path.includes('README')));
    const [cached] = await listCachedModels(settings.cache);
    assert.equal(cached?.name, tiny);
    const sizes = ['config.json', 'generation_config.json', 'model.safetensors'].map(
      (name) => content.files.get(name)?.length ?? NaN,
    );
    assert.equal(cached.bytes, sum(sizes));
    assert.deepEqual(cached.revisions, ['main']);
  });

  it('asks only for the commit when it has the model, and for nothing when it has the commit', async (context) => {
    const { hub, settings } = await scene(context);
    await downloadModel(tiny, { settings });
    hub.requests.length = 0;
    await downloadModel(tiny, { settings });
    assert.equal(hub.requests.length, 1);
    await downloadModel(tiny, { settings, revision: commit });
    assert.equal(hub.requests.length, 1);
  });

  it('fetches the tokenizer that Python left out when it fetched the weights', async (context) => {
    const { hub, content, settings } = await scene(context);
    const files = new Map(content.files).set('tokenizer.json', Buffer.from('{}'));
    const asked = await startHub(context, { ...content, files });
    const folder = await downloadModel(tiny, { settings });
    const model = join(settings.cache, 'models--someone--tiny');
    assert.ok(hub.requests.length > 1);
    // Python notes only the absence of what it asked for.
    await rm(join(model, '.no_exist'), { recursive: true });
    const now = { ...settings, endpoint: asked.endpoint };
    assert.equal(await downloadModel(tiny, { settings: { ...now, offline: true } }), folder);
    for (const revision of ['main', commit, commit]) {
      assert.equal(await downloadModel(tiny, { settings: now, revision }), folder);
      assert.equal(await readFile(join(folder, 'tokenizer.json'), 'utf8'), '{}');
    }
    const fetched = asked.requests.filter(({ path }) => path.includes('/resolve/'));
    assert.deepEqual(
      fetched.map(({ path }) => path.split('/').at(-1)),
      ['tokenizer.json'],
    );
  });

  it('takes a model in several files', async (context) => {
    for (const name of ['safetensors-sharded', 'bin-sharded']) {
      const { settings } = await scene(context, { files: await folderFiles(name) });
      const folder = await downloadModel(tiny, { settings });
      assert.equal((await loadParameters(folder)).buffer.length, 7824);
    }
  });

  it('takes a branch or tag, also one with a slash', async (context) => {
    const { settings } = await scene(context, { revisions: ['v1', 'refs/pr/7'] });
    for (const revision of ['v1', 'refs/pr/7']) {
      assert.equal(
        await resolveModel(`${tiny}@${revision}`, { settings }),
        join(settings.cache, 'models--someone--tiny', 'snapshots', commit),
      );
    }
    assert.equal(
      await readFile(join(settings.cache, 'models--someone--tiny', 'refs', 'refs/pr/7'), 'utf8'),
      commit,
    );
    await refuses(downloadModel(tiny, { settings, revision: 'v2' }), /404: .* revision/);
  });

  it('goes on after a connection is cut, with the bytes that are missing', async (context) => {
    const { hub, settings } = await scene(context, { cuts: [10_000, 5000] });
    const folder = await downloadModel(tiny, { settings });
    const ranges = hub.requests.filter(({ host }) => host === 'storage').map(({ range }) => range);
    assert.deepEqual(ranges, [undefined, 'bytes=10000-', 'bytes=15000-']);
    assert.equal((await loadParameters(folder)).buffer.length, 7824);
  });

  it('goes on in the next process', async (context) => {
    const { hub, content, settings } = await scene(context, { cuts: [9000, 0, 0, 0, 0] });
    await refuses(downloadModel(tiny, { settings }), /broke off 5 times .* run the same command/);
    const blobs = join(settings.cache, 'models--someone--tiny', 'blobs');
    const left = (await readdir(blobs)).filter((name) => name.endsWith('.incomplete'));
    assert.equal((await readFile(join(blobs, at(left, 0)))).length, 9000);
    content.cuts = [];
    hub.requests.length = 0;
    await downloadModel(tiny, { settings });
    const [stored] = hub.requests.filter(({ host }) => host === 'storage');
    assert.equal(stored?.range, 'bytes=9000-');
    assert.ok((await readdir(blobs)).every((name) => !name.endsWith('.incomplete')));
  });

  it('starts again where the host ignores ranges', async (context) => {
    const { settings } = await scene(context, { cuts: [10_000], ignoresRanges: true });
    const folder = await downloadModel(tiny, { settings });
    assert.equal((await loadParameters(folder)).buffer.length, 7824);
  });

  it('throws away what does not match its checksum', async (context) => {
    const { content, settings } = await scene(context, { damages: true });
    await refuses(downloadModel(tiny, { settings }), /checksum .* run the same command again/);
    const blobs = await readdir(join(settings.cache, 'models--someone--tiny', 'blobs'));
    assert.equal(blobs.length, 2);
    content.damages = false;
    await downloadModel(tiny, { settings });
  });

  it('sends the token to the hub, but not to the host it redirects to', async (context) => {
    const { hub, settings } = await scene(context, { token: 'secret' });
    await downloadModel(tiny, { settings: { ...settings, token: 'secret' } });
    for (const { host, authorization } of hub.requests) {
      assert.equal(authorization, host === 'hub' ? 'Bearer secret' : undefined);
    }
  });

  it('says what to do at 401, 403, 404 and a broken hub', async (context) => {
    const { content, settings } = await scene(context, { token: 'secret' });
    await refuses(downloadModel(tiny, { settings }), /401: .* set HF_TOKEN/);
    await refuses(
      downloadModel(tiny, { settings: { ...settings, token: 'other' } }),
      /401: the access token is not accepted/,
    );
    for (const [status, words] of [
      [403, /gated; ask for access/],
      [404, /no such model/],
      [500, /cannot be asked .* HF_ENDPOINT/],
    ] as const) {
      content.status = status;
      await refuses(downloadModel(tiny, { settings }), words);
    }
    await refuses(
      downloadModel(tiny, { settings: { ...settings, endpoint: 'http://127.0.0.1:9' } }),
      /cannot be asked/,
    );
    await refuses(downloadModel('../etc', { settings }), /no name of a model/);
    await refuses(downloadModel(tiny, { settings, revision: '../x' }), /no revision/);
  });

  it('says which file a repository lacks', async (context) => {
    const { settings } = await scene(context, {
      files: new Map([['config.json', Buffer.from('{}')]]),
    });
    await refuses(downloadModel(tiny, { settings }), /no model\.safetensors/);
    const empty = await scene(context, { files: new Map() });
    await refuses(downloadModel(tiny, { settings: empty.settings }), /no config\.json/);
  });
});

describe('verifying a model', () => {
  it('finds a flipped bit in the cache, and elsewhere a number that is not finite', async (context) => {
    const { settings } = await scene(context);
    const folder = await downloadModel(tiny, { settings });
    const file = join(folder, 'model.safetensors');
    assert.deepEqual(await verifyModel(folder), [{ path: file, checksum: true }]);
    const bytes = await readFile(file);
    bytes[bytes.length - 2] = at(bytes, bytes.length - 2) ^ 1;
    await writeFile(file, bytes);
    await refuses(verifyModel(folder), /checksum is \w+ instead of \w+; .* remove .*blobs/);

    const copy = join(await temporaryFolder(context), 'model.safetensors');
    await writeFile(copy, bytes);
    assert.deepEqual(await verifyModel(copy), [{ path: copy, checksum: false }]);
    bytes.writeFloatLE(Infinity, bytes.length - 4);
    await writeFile(copy, bytes);
    await refuses(verifyModel(copy), /tensor ".*" holds a number that is not finite/);
  });
});

const PROXY_VARIABLES = ['http', 'https', 'no'].flatMap((kind) => [
  `${kind}_proxy`,
  `${kind}_proxy`.toUpperCase(),
]);

describe('downloading through the command', () => {
  /** Runs `dialogpt info` on the model of the hub. */
  const info = (endpoint: string, cache: string, env: Record<string, string> = {}) =>
    runCommand(['info', tiny, '--json'], {
      env: {
        ...{ HF_ENDPOINT: endpoint, HF_HUB_CACHE: cache, HF_TOKEN: '', HF_HUB_OFFLINE: '' },
        ...Object.fromEntries(PROXY_VARIABLES.map((name) => [name, undefined])),
        ...env,
      },
    });

  it('by several processes at once fetches each file once', async (context) => {
    // The connection breaks now and then, so that the others have time to come in between.
    const { hub, settings } = await scene(context, { cuts: [10_000, 5000, 1000] });
    const runs = await Promise.all(
      Array.from({ length: 3 }, () => info(hub.endpoint, settings.cache)),
    );
    for (const { code, stderr } of runs) assert.equal(code, 0, stderr);
    const ranges = hub.requests.filter(({ host }) => host === 'storage').map(({ range }) => range);
    assert.deepEqual(ranges, [undefined, 'bytes=10000-', 'bytes=15000-', 'bytes=16000-']);
    const blobs = await readdir(join(settings.cache, 'models--someone--tiny', 'blobs'));
    assert.ok(
      blobs.every((name) => /^[0-9a-f]+$/.test(name)),
      blobs.join(),
    );
  });

  it('goes through a proxy, if the environment names one', async (context) => {
    const { hub, settings } = await scene(context);
    const proxy = await startProxy(context);
    const { code, stderr } = await info(hub.endpoint, settings.cache, {
      HTTP_PROXY: proxy.address,
    });
    assert.equal(code, 0, stderr);
    const hosts = new Set(hub.requests.map(({ host }) => host));
    assert.deepEqual([...hosts], ['hub', 'storage']);
    assert.equal(proxy.targets.length, 2);

    const away = { HTTP_PROXY: 'http://127.0.0.1:9' };
    const cache = await temporaryFolder(context);
    const refused = await info(hub.endpoint, cache, away);
    assert.match(refused.stderr, /cannot be asked/);
    const around = await info(hub.endpoint, cache, { ...away, NO_PROXY: '127.0.0.1' });
    assert.equal(around.code, 0, around.stderr);
  });
});

describe('a name on the hub', () => {
  it('is a model for the commands that end by themselves', async (context) => {
    const folder = await temporaryFolder(context);
    await makeTinyModel(folder);
    const files = new Map<string, Buffer>();
    for (const name of await readdir(join(folder, 'model'))) {
      if (/\.(?:json|txt|safetensors)$/.test(name)) {
        files.set(name, await readFile(join(folder, 'model', name)));
      }
    }
    const hub = await startHub(context, { id: tiny, commit, files });
    await writeFile(join(folder, 'refs.txt'), 'hello\tyou\n');
    await writeFile(join(folder, 'contexts.txt'), 'hello\n');
    const commands: readonly (readonly string[])[] = [
      ['info', tiny, '--verify'],
      ['convert', tiny, 'converted'],
      ['chat', '--model', tiny, '--once', '--max-new-tokens', '2'],
      ['generate', '--model', tiny, '--input', 'contexts.txt', '--max-new-tokens', '2'],
      ['train', '--model', tiny, '--data', 'data', '--out', 'trained', '--num-optim-steps', '1'],
      ['eval', '--model', tiny, '--refs', 'refs.txt', '--max-new-tokens', '2'],
      ['eval', 'perplexity', '--model', tiny, '--data', 'data'],
    ];
    for (const [place, words] of commands.entries()) {
      hub.requests.length = 0;
      const HF_HUB_CACHE = join(folder, `cache-${place}`);
      const { code, stderr } = await runCommand(words, {
        cwd: folder,
        input: 'Hello!\n',
        env: { HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE, HF_TOKEN: '', HF_HUB_OFFLINE: '' },
      });
      assert.equal(code, 0, `${words.join(' ')}: ${stderr}`);
      assert.ok(hub.requests.length > 0, words.join(' '));
    }
  });
});

describe('working without the hub', () => {
  it('takes what the cache has, offline or with the hub away', async (context) => {
    const { content, settings } = await scene(context);
    const offline = { ...settings, offline: true };
    await refuses(downloadModel(tiny, { settings: offline }), /HF_HUB_OFFLINE forbids/);
    const folder = await downloadModel(tiny, { settings });
    assert.equal(await downloadModel(tiny, { settings: offline }), folder);
    content.status = 500;
    assert.equal(await downloadModel(tiny, { settings }), folder);
    content.status = 404;
    await refuses(downloadModel(tiny, { settings }), /no such model/);
    await rm(join(folder, 'model.safetensors'));
    await refuses(downloadModel(tiny, { settings: offline }), /not, or not wholly, in the cache/);
  });

  it('lists what was asked for by commit, and under names with a slash', async (context) => {
    const { settings } = await scene(context, { revisions: ['v1', 'refs/pr/7'] });
    const revisions = async () =>
      (await listCachedModels(settings.cache)).map((model) => model.revisions);
    await downloadModel(tiny, { settings, revision: commit });
    assert.deepEqual(await revisions(), [[commit]]);
    for (const revision of ['v1', 'refs/pr/7']) await downloadModel(tiny, { settings, revision });
    assert.deepEqual(await revisions(), [['refs/pr/7', 'v1']]);
    // A name whose commit is no longer there is none that can be used.
    await rm(join(settings.cache, 'models--someone--tiny', 'snapshots', commit), {
      recursive: true,
    });
    assert.deepEqual(await revisions(), [[]]);
  });

  it('lists nothing where there is no cache', async (context) => {
    assert.deepEqual(await listCachedModels(join(await temporaryFolder(context), 'none')), []);
  });
});

describe('resolving the name of a model', () => {
  it('prefers a local path, knows short names, and refuses paths that are not there', async (context) => {
    const { settings } = await scene(context, { id: 'microsoft/DialoGPT-small' });
    const folder = golden('checkpoint', 'bin');
    assert.equal(await resolveModel(folder, { settings }), folder);
    assert.match(await resolveModel('small', { settings }), /models--microsoft--DialoGPT-small/);
    for (const path of ['./absent', '/no/such/model', 'absent/model.safetensors', 'x.pkl']) {
      await refuses(resolveModel(path, { settings }), /no such file or folder/);
    }
    const local = join(await temporaryFolder(context), 'medium');
    await mkdir(local);
    await writeFile(join(local, 'config.json'), '{}');
    assert.equal(await resolveModel(local, { settings }), local);
  });
});
