import { randomUUID } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { OperationState } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { eventually } from '../support/eventually.ts';
import { askThroughIngress } from '../support/http.ts';
import { obiente, openApi } from '../support/platform.ts';
import { type SshServer, startSshServer } from '../support/ssh-server.ts';
import { useTestDocker } from '../support/test-docker.ts';
import { createSubject, type Subject } from './deployed.ts';
import { commitOf, fromGit, servingDockerfile, useGitServer } from './git-repositories.ts';
import { platformOfWorker } from './platforms.ts';

const platform = platformOfWorker();
const api = openApi(platform);
const docker = useTestDocker();
const git = useGitServer(platform, docker);
afterAll(() => api.close());

const markOf = async ({ name }: Subject): Promise<string> =>
  (await askThroughIngress(platform.httpPort, `${name}.localhost`)).body.trim();

/** What builds have left on the node's disk. */
async function leftovers(): Promise<string[]> {
  const folders = ['trees', 'fetches'].map((name) => join(platform.stateDir, 'node', 'git', name));
  return (await Promise.all(folders.map((folder) => readdir(folder).catch(() => [])))).flat();
}

const succeeded = { state: OperationState.SUCCEEDED, errorMessage: '' };

describe('a deployment from a Git repository', { timeout: 240_000 }, () => {
  it('runs the commit of its branch, a newer one after a deploy, and the old one after a rollback without the server', async () => {
    const repository = git.repository();
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

    const before = git.server().requests.length;
    const back = await api.deployments.rollbackDeployment({ idempotencyKey: randomUUID(), deploymentId: subject.id });
    expect(await subject.outcome(back.operation?.id)).toMatchObject(succeeded);
    expect([await markOf(subject), await commitOf(subject)]).toEqual(['first', first]);
    expect(git.server().requests.length).toBe(before);
    const { stdout: history } = await obiente(platform, 'history', subject.id);
    for (const commit of [first, second]) expect(history).toContain(commit.slice(0, 12));
    const diff = await obiente(platform, 'diff', subject.id, '2', '3');
    expect(diff.stdout).toContain(first);

    const variables = { setEnvironment: [{ name: 'MODE', value: 'other' }], deploymentId: subject.id };
    const kept = await api.deployments.updateDeployment({ idempotencyKey: randomUUID(), ...variables });
    expect(await subject.outcome(kept.deployment?.operation?.id)).toMatchObject(succeeded);
    expect([await markOf(subject), await commitOf(subject)]).toEqual(['first', first]);
    await subject.remove();
  });

  it('builds the commit that was looked up although the branch has moved since, also in a second attempt', async () => {
    const repository = git.repository();
    const first = repository.push('first');
    let refusals = 0;
    git.server().behaviour = {
      intercept: (request, response) => {
        if (request.method !== 'POST' || !request.url?.includes('git-upload-pack')) return false;
        // The commands of protocol 2 that list refs are let through, the first fetch is not.
        if (refusals > 0 || git.server().requests.filter(({ line }) => line === `POST ${request.url}`).length < 2)
          return false;
        refusals += 1;
        repository.push('moved');
        response.writeHead(503).end();
        return true;
      },
    };
    const subject = await createSubject(api, fromGit(repository.url, { ref: 'main' }));
    expect(await subject.outcome()).toMatchObject(succeeded);
    git.server().behaviour = {};
    expect(refusals).toBe(1);
    expect([await markOf(subject), await commitOf(subject)]).toEqual(['first', first]);
    await subject.remove();
  });

  it('fails in words for what cannot be built, and ends at once with nothing left when it is cancelled', async () => {
    const repository = git.repository();
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

    git.server().behaviour = { intercept: (request) => request.method === 'POST' };
    const { id: hung } = await refused.update(fromGit(repository.url, { ref: compose }));
    await eventually(async () => expect(await leftovers()).not.toEqual([]));
    await api.operations.cancelOperation({ idempotencyKey: randomUUID(), operationId: hung });
    expect(await refused.outcome(hung)).toMatchObject({ state: OperationState.CANCELLED });
    expect(await leftovers()).toEqual([]);
    git.server().behaviour = {};
    await refused.remove();
  });

  it('is asked for by the command, and refused for servers that nobody allowed', async () => {
    const repository = git.repository();
    repository.push('x', {
      'web/Dockerfile': servingDockerfile(docker.corner.image),
      'web/index.html': 'of a folder',
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

describe('a deployment from a private repository', { timeout: 240_000 }, () => {
  it('is fetched by HTTPS with the credential of its own organization, once there is one', async () => {
    const repository = git.repository();
    repository.push('private');
    const login = { username: 'robot', password: `token-${randomUUID()}` };
    git.server().behaviour = { login };
    const subject = await createSubject(api, fromGit(repository.url));
    const without = await subject.outcome();
    expect(without).toMatchObject({ state: OperationState.FAILED, errorCode: 'SOURCE_REFUSED' });
    expect(without.errorHint).toContain('credential');

    const organizationId = (await api.identity.whoAmI({})).memberships[0]?.organizationId ?? '';
    const target = repository.url;
    const secret = { case: 'https', value: login } as const;
    await api.git.setGitCredential({ idempotencyKey: randomUUID(), organizationId, target, secret });
    const { id } = await subject.update(fromGit(repository.url));
    expect(await subject.outcome(id)).toMatchObject(succeeded);
    expect(await markOf(subject)).toBe('private');
    git.server().behaviour = {};
    await api.git.deleteGitCredential({ idempotencyKey: randomUUID(), organizationId, target });
    await subject.remove();
  });

  it('is fetched by SSH with a deploy key that the platform made, from the server whose key it has learnt', async () => {
    const [, port = 0] = platform.gitPorts;
    let ssh: SshServer = await startSshServer({ port });
    try {
      const repository = git.repository();
      const first = repository.push('by ssh');
      const url = `ssh://${ssh.user}@localhost:${port}${repository.folder}`;
      const added = await obiente(platform, 'git', 'add', url, '--generate-key');
      expect(added).toMatchObject({ code: 0 });
      expect(added.stdout).toMatch(/^ssh-ed25519 \S+ obiente\n$/);
      expect((await obiente(platform, 'git')).stdout).toContain(`localhost:${port}`);

      const subject = await createSubject(api, fromGit(url));
      expect(await subject.outcome()).toMatchObject({ state: OperationState.FAILED, errorCode: 'SOURCE_REFUSED' });
      await ssh.authorize(added.stdout.trim());
      expect(await subject.outcome((await subject.update(fromGit(url))).id)).toMatchObject(succeeded);
      expect([await markOf(subject), await commitOf(subject)]).toEqual(['by ssh', first]);
      expect(await readdir(knownHosts())).toEqual([subject.id]);

      await ssh.stop();
      ssh = await startSshServer({ port });
      await ssh.authorize(added.stdout.trim());
      const impostor = await subject.outcome((await subject.update(fromGit(url))).id);
      expect(impostor).toMatchObject({ state: OperationState.FAILED, errorCode: 'SOURCE_REFUSED' });
      expect(impostor.errorMessage).toContain('host key');
      expect(await markOf(subject)).toBe('by ssh');
      await subject.remove();
      expect(await readdir(knownHosts())).toEqual([]);
      expect(await obiente(platform, 'git', 'rm', url)).toMatchObject({ code: 0 });
    } finally {
      await ssh.stop();
    }
  });
});

const knownHosts = (): string => join(platform.stateDir, 'node', 'git', 'known-hosts');
