import { randomUUID } from 'node:crypto';
import { afterAll, describe, expect, it } from 'vitest';
import { OperationKind, OperationState } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { eventually } from '../support/eventually.ts';
import { gitHubPush } from '../support/github-push.ts';
import { askThroughIngress } from '../support/http.ts';
import { obiente, openApi, pidOf } from '../support/platform.ts';
import { useTestDocker } from '../support/test-docker.ts';
import { createSubject, type Subject } from './deployed.ts';
import { commitOf, fromGit, useGitServer } from './git-repositories.ts';
import { platformOfWorker } from './platforms.ts';

const platform = platformOfWorker();
const api = openApi(platform);
const docker = useTestDocker();
const git = useGitServer(platform, docker);
afterAll(() => api.close());

const succeeded = { state: OperationState.SUCCEEDED, errorMessage: '' };

/** A deployment that runs its first commit, with the webhook that the command shows. */
async function aHooked(ref = 'main') {
  const repository = git.repository();
  repository.push('first');
  const subject = await createSubject(api, fromGit(repository.url, { ref }));
  expect(await subject.outcome()).toMatchObject(succeeded);
  const shown = await obiente(platform, '--json', 'webhook', subject.id);
  const { url, secret } = JSON.parse(shown.stdout) as { url: string; secret: string };
  const deliver = async (push: { commit: string; deliveryId?: string; secret?: string }) => {
    const answer = await fetch(url, gitHubPush({ url: repository.url, secret, ...push }));
    const { operationId } = (await answer.json()) as { operationId?: string };
    return { status: answer.status, operationId };
  };
  return { repository, subject, secret, deliver };
}

async function markOf({ name }: Subject): Promise<string> {
  return (await askThroughIngress(platform.httpPort, `${name}.localhost`)).body.trim();
}

async function pushesOf({ id: deploymentId }: Subject) {
  const { operations } = await api.operations.listOperations({ deploymentId });
  return operations.filter(({ kind }) => kind === OperationKind.UPDATE);
}

describe('a push', { timeout: 240_000 }, () => {
  it('that a signed webhook tells of is built and serves, once, and a forged one is not', async () => {
    const { repository, subject, deliver } = await aHooked();
    const commit = repository.push('second');
    expect(await deliver({ commit, secret: 'guessed' })).toMatchObject({ status: 401 });
    expect(await pushesOf(subject)).toEqual([]);

    const deliveryId = randomUUID();
    const { operationId, ...answer } = await deliver({ commit, deliveryId });
    expect(answer.status).toBe(202);
    expect(await subject.outcome(operationId)).toMatchObject(succeeded);
    expect([await markOf(subject), await commitOf(subject)]).toEqual(['second', commit]);
    expect(await deliver({ commit, deliveryId })).toMatchObject({ status: 202, operationId });
    expect(await pushesOf(subject)).toMatchObject([{ reason: `push of ${commit.slice(0, 7)} to main by alice` }]);
    const shown = await obiente(platform, 'webhook', subject.id);
    expect(shown.stdout).toContain('push of');
    expect(shown.stderr).toContain('--rotate');
    await subject.remove();
  });

  it('is built although the API dies as soon as it has taken the delivery', async () => {
    const { repository, subject, deliver } = await aHooked('HEAD');
    const commit = repository.push('second');
    const killed = await pidOf(platform, 'api');
    const { operationId, status } = await deliver({ commit });
    process.kill(killed, 'SIGKILL');
    expect(status).toBe(202);
    await eventually(async () => expect(await pidOf(platform, 'api')).not.toBe(killed));
    expect(await subject.outcome(operationId)).toMatchObject(succeeded);
    expect(await commitOf(subject)).toBe(commit);
    await subject.remove();
  });

  it('of several while one is being built ends with the last one', async () => {
    const { repository, subject, deliver } = await aHooked();
    const statuses: number[] = [];
    let commit = '';
    let last: string | undefined;
    for (const mark of ['second', 'third', 'fourth']) {
      commit = repository.push(mark);
      const answer = await deliver({ commit });
      statuses.push(answer.status);
      last = answer.operationId;
    }
    expect(statuses).toEqual([202, 202, 202]);
    expect(await subject.outcome(last)).toMatchObject(succeeded);
    expect([await markOf(subject), await commitOf(subject)]).toEqual(['fourth', commit]);
    await subject.remove();
  });
});
