import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { repository } from '../support/files.js';

const read = (name: string): Promise<string> => readFile(join(repository, name), 'utf8');
const packageSchema = z.object({ files: z.array(z.string()) });

describe('the Docker image', () => {
  it('has all that the package ships', async () => {
    const { files } = packageSchema.parse(JSON.parse(await read('package.json')));
    const [, image = ''] = (await read('Dockerfile')).split(/\n(?=FROM .*(?<! AS build)\n)/);
    const copied = [...image.matchAll(/^COPY (?:--\S+ )?.*? \.\/(\S+)$/gm)].map(([, to]) => to);
    for (const file of files) assert.ok(copied.includes(file), `${file} is not copied`);
  });

  it('is built of what Docker is given to build it', async () => {
    const given = (await read('.dockerignore')).split('\n');
    assert.equal(given[0], '*');
    const copies = (await read('Dockerfile')).matchAll(/^COPY (?!--from)(.*) \S+$/gm);
    const names = [...copies].flatMap(([, words = '']) => words.split(' '));
    assert.ok(names.includes('models') && names.includes('package-lock.json'));
    for (const name of names) assert.ok(given.includes(`!${name}`), `${name} is kept from Docker`);
  });
});
