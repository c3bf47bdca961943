import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { OperationState } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { eventually } from '../support/eventually.ts';
import { createTestRepository, type TestRepository } from '../support/git-repository.ts';
import { type GitServer, startGitServer } from '../support/git-server.ts';
import { askThroughIngress } from '../support/http.ts';
import { obiente, openApi } from '../support/platform.ts';
import { useTestDocker } from '../support/test-docker.ts';
import { createSubject, type SpecInit, type Subject } from './deployed.ts';

const platform = inject('platform');
const api = openApi(platform);
const docker = useTestDocker();
let root: string;
let server: GitServer;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'obiente-served-'));
  const [port = 0] = platform.gitPorts;
  server = await startGitServer(root, platform.stateDir, { name: 'localhost', port });
});
afterAll(async () => {
  await server?.stop();
  await rm(root, { recursive: true });
  api.close();
});

/** A repository of its own, and how to push an application that answers with a mark. */
function aRepository(): {
  url: string;
  push: (mark: string, files?: Record<string, string>) => string;
} & TestRepository {
  const name = `app-${randomUUID().slice(0, 8)}.git`;
  const repository = createTestRepository(root, name);
  let parent: string | undefined;
  const push = (mark: string, files: Record<string, string> = {}): string => {
    const dockerfile = `FROM ${docker.corner.image}\nCOPY index.html /www/\nCMD ["httpd", "-f", "-p", "8080", "-h", "/www"]\n`;
    const all = { Dockerfile: dockerfile, 'index.html': mark, ...files };
    parent = repository.commit(all, parent === undefined ? {} : { parent });
    return parent;
  };
  return { ...repository, url: server.url(name), push };
}

function fromGit(url: string, changes: Record<string, unknown> = {}): SpecInit {
  const limits = { cpuCores: 0.2, memoryBytes: 16n * 1024n * 1024n };
  return { source: { case: 'git', value: { url, ...changes } }, port: 8080, limits } as SpecInit;
}

async function markOf({ name }: Subject): Promise<string> {
  return (await askThroughIngress(platform.httpPort, `${name}.localhost`)).body.trim();
}

async function commitOf(subject: Subject): Promise<string> {
  const { spec } = await subject.get();
  return spec?.source.case === 'git' ? spec.source.value.commit : '';
}

/** What builds have left on the node's disk. */
async function leftovers(): Promise<string[]> {
  const folders = ['trees', 'fetches'].map((name) => join(platform.stateDir, 'node', 'git', name));
  return (await Promise.all(folders.map((folder) => readdir(folder).catch(() => [])))).flat();
}

const succeeded = { state: OperationState.SUCCEEDED, errorMessage: '' };

describe('a deployment from a Git repository', { timeout: 240_000 }, () => {
  it('runs the commit of its branch, a newer one after a deploy, and the old one after a rollback without the server', async () => {
    const repository = aRepository();
    const first = repository.push('first');
    const subject = await createSubject(api, fromGit(repository.url));
    expect(await subject.outcome()).toMatchObject(succeeded);
    expect([await markOf(subject), await commitOf(subject)]).toEqual(['first', first]);
    const { operation } = await subject.get();
    const { steps } = await api.operations.getOperation({ operationId: operation?.id ?? '' });
    const told = steps.map(({ kind, message }) => `${kind}: ${message}`);
    expect(told).toContain(`source.resolved: the default branch is ${first}`);
    expect(told).toContain('build.detected: found a Dockerfile at its root');
    expect(await leftovers()).toEqual([]);

    const second = repository.push('second');
    const { id } = await subject.update(fromGit(repository.url, { ref: 'main' }));
    expect(await subject.outcome(id)).toMatchObject(succeeded);
    expect([await markOf(subject), await commitOf(subject)]).toEqual(['second', second]);
    const shown = await obiente(platform, 'status', subject.id);
    expect(shown.stdout).toContain(`${repository.url} main at ${second.slice(0, 12)}`);

    const before = server.requests.length;
    const back = await api.deployments.rollbackDeployment({ idempotencyKey: randomUUID(), deploymentId: subject.id });
    expect(await subject.outcome(back.operation?.id)).toMatchObject(succeeded);
    expect([await markOf(subject), await commitOf(subject)]).toEqual(['first', first]);
    expect(server.requests.length).toBe(before);
    const diff = await obiente(platform, 'diff', subject.id, '2', '3');
    expect(diff.stdout).toContain(first);

    const variables = { setEnvironment: [{ name: 'MODE', value: 'other' }], deploymentId: subject.id };
    const kept = await api.deployments.updateDeployment({ idempotencyKey: randomUUID(), ...variables });
    expect(await subject.outcome(kept.deployment?.operation?.id)).toMatchObject(succeeded);
    expect([await markOf(subject), await commitOf(subject)]).toEqual(['first', first]);
    await subject.remove();
  });

  it('builds the commit that was looked up although the branch has moved since, also in a second attempt', async () => {
    const repository = aRepository();
    const first = repository.push('first');
    let refusals = 0;
    server.behaviour = {
      intercept: (request, response) => {
        if (request.method !== 'POST' || !request.url?.includes('git-upload-pack')) return false;
        // The commands of protocol 2 that list refs are let through, the first fetch is not.
        if (refusals > 0 || server.requests.filter(({ line }) => line === `POST ${request.url}`).length < 2)
          return false;
        refusals += 1;
        repository.push('moved');
        response.writeHead(503).end();
        return true;
      },
    };
    const subject = await createSubject(api, fromGit(repository.url, { ref: 'main' }));
    expect(await subject.outcome()).toMatchObject(succeeded);
    server.behaviour = {};
    expect(refusals).toBe(1);
    expect([await markOf(subject), await commitOf(subject)]).toEqual(['first', first]);
    await subject.remove();
  });

  it('fails in words for what cannot be built, and ends at once with nothing left when it is cancelled', async () => {
    const repository = aRepository();
    repository.push('x');
    const refused = await createSubject(api, fromGit(repository.url, { ref: 'no-such-branch' }));
    const outcome = await refused.outcome();
    expect(outcome).toMatchObject({ state: OperationState.FAILED, errorCode: 'SOURCE_REFUSED' });
    expect(outcome.errorMessage).toContain('no branch or tag "no-such-branch"');
    const compose = repository.commit({ 'compose.yaml': 'services: {}' }, { ref: 'refs/heads/compose' });
    const { id } = await refused.update(fromGit(repository.url, { ref: compose }));
    const unbuildable = await refused.outcome(id);
    expect(unbuildable).toMatchObject({ state: OperationState.FAILED, errorCode: 'SOURCE_REFUSED' });
    expect(unbuildable.errorMessage).toContain('compose.yaml');

    server.behaviour = { intercept: (request) => request.method === 'POST' };
    const { id: hung } = await refused.update(fromGit(repository.url, { ref: compose }));
    await eventually(async () => expect(await leftovers()).not.toEqual([]));
    await api.operations.cancelOperation({ idempotencyKey: randomUUID(), operationId: hung });
    expect(await refused.outcome(hung)).toMatchObject({ state: OperationState.CANCELLED });
    expect(await leftovers()).toEqual([]);
    server.behaviour = {};
    await refused.remove();
  });

  it('is asked for by the command, and refused for servers that nobody allowed', async () => {
    const repository = aRepository();
    repository.push('x', {
      'web/Dockerfile': `FROM ${docker.corner.image}\nCOPY page /www/index.html\nCMD ["httpd", "-f", "-p", "8080", "-h", "/www"]\n`,
      'web/page': 'of a folder',
    });
    const name = `git-${randomUUID().slice(0, 8)}`;
    const options = ['--name', name, '--ref', 'main', '--subdirectory', 'web', '--port', '8080', '--memory', '16MiB'];
    const deployed = await obiente(platform, 'deploy', '--git', repository.url, ...options);
    expect(deployed).toMatchObject({ code: 0 });
    expect((await askThroughIngress(platform.httpPort, `${name}.localhost`)).body).toBe('of a folder');
    expect(await obiente(platform, 'rm', name)).toMatchObject({ code: 0 });
    const inside = await obiente(platform, 'deploy', '--git', 'https://localhost:1/a.git', '--name', name);
    expect(inside).toMatchObject({ code: 3 });
    expect(inside.stderr).toContain('spec.git.url');
  });
});
