import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OperationState } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { askThroughIngress } from '../support/http.ts';
import { siteImageOf } from '../support/installation.ts';
import { obiente, openApi } from '../support/platform.ts';
import { useTestDocker } from '../support/test-docker.ts';
import { createSubject } from './deployed.ts';
import { fromGit, useGitServer } from './git-repositories.ts';
import { platformOfWorker } from './platforms.ts';

const platform = platformOfWorker();
const api = openApi(platform);
const docker = useTestDocker();
const git = useGitServer(platform, docker);
const siteImage = siteImageOf(platform.instance);

/** What the image of these tests is told, since its own command serves nothing. */
const SERVE = ['httpd', '-f', '-p', '8080', '-h', '/www'];

beforeAll(async () => {
  const [repo = '', tag = ''] = siteImage.split(':');
  await docker.corner.client.getImage(docker.corner.image).tag({ repo, tag });
});
afterAll(async () => {
  await docker.corner.client.getImage(siteImage).remove();
  api.close();
});

describe('a page that is ready to be served', { timeout: 240_000 }, () => {
  it('is deployed from a folder without a Dockerfile, and nothing hidden with it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'obiente-page-'));
    const settings = `command: ${JSON.stringify(SERVE)}\nmemory: 16MiB\ncpu: 0.2\n`;
    const files = {
      ...{ 'index.html': 'hello', 'a/b.css': 'body {}', Dockerfile2: 'x', 'obiente.yaml': settings },
      ...{ '.env': 'SECRET=1', 'a/.hidden': 'x', '.well-known/security.txt': 'contact' },
    };
    for (const [path, content] of Object.entries(files)) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), content);
    }
    const name = `page-${randomUUID().slice(0, 8)}`;
    const deployed = await obiente(platform, 'deploy', folder, '--name', name);
    expect(deployed).toMatchObject({ code: 0 });
    const ask = async (path: string) => await askThroughIngress(platform.httpPort, `${name}.localhost`, path);
    expect(await ask('/')).toEqual({ status: 200, body: 'hello' });
    for (const path of ['/a/b.css', '/.well-known/security.txt'])
      expect(await ask(path)).toMatchObject({ status: 200 });
    for (const path of ['/.env', '/obiente.yaml', '/a/.hidden', '/Dockerfile']) {
      expect(await ask(path)).toMatchObject({ status: 404 });
    }
    expect((await obiente(platform, 'status', name)).stdout).toContain('a page (sha256:');
    await writeFile(join(folder, 'index.html'), 'changed');
    expect(await obiente(platform, 'deploy', folder, '--name', name)).toMatchObject({ code: 0 });
    expect(await ask('/')).toEqual({ status: 200, body: 'changed' });
    expect(await obiente(platform, 'rm', name)).toMatchObject({ code: 0 });
    await rm(folder, { recursive: true });
  });

  it('is found in a repository', async () => {
    const repository = git.repository();
    repository.commit({ 'public/index.html': 'from git', 'README.md': 'x', 'public/.env': 'SECRET=1' });
    const subject = await createSubject(api, { ...fromGit(repository.url), command: SERVE });
    expect(await subject.outcome()).toMatchObject({ state: OperationState.SUCCEEDED, errorMessage: '' });
    const ask = async (path: string) => await askThroughIngress(platform.httpPort, `${subject.name}.localhost`, path);
    expect(await ask('/')).toEqual({ status: 200, body: 'from git' });
    expect([(await ask('/.env')).status, (await ask('/README.md')).status]).toEqual([404, 404]);
    const { operation } = await subject.get();
    const { steps } = await api.operations.getOperation({ operationId: operation?.id ?? '' });
    expect(steps.map(({ message }) => message)).toContain('found an index.html in public/');
    await subject.remove();
  });
});
