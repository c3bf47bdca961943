import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LABEL } from '../../domain/naming.ts';
import { type Operation, OperationState } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { gitHubPush } from '../support/github-push.ts';
import { askThroughIngress } from '../support/http.ts';
import { obiente, openApi } from '../support/platform.ts';
import { startProber } from '../support/prober.ts';
import { useTestDocker } from '../support/test-docker.ts';
import { createSubject, type SpecInit, type Subject } from './deployed.ts';
import { fromGit, useGitServer } from './git-repositories.ts';
import { platformOfWorker } from './platforms.ts';

const platform = platformOfWorker();
const api = openApi(platform);
const docker = useTestDocker();
const git = useGitServer(platform, docker);
afterAll(() => api.close());

/** The test image under a tag that is not looked up at each deploy. */
let steady = '';
beforeAll(async () => {
  const [repo = ''] = docker.corner.image.split(':');
  steady = `${repo}-read:1`;
  await docker.corner.client.getImage(docker.corner.image).tag({ repo: `${repo}-read`, tag: '1' });
});
afterAll(() => docker.corner.client.getImage(steady).remove({ force: true }));

const LIMITS = 'deploy: { resources: { limits: { cpus: "0.2", memory: 16M } } }';

/** `web` is built, and puts what `stock` says behind its own word; `stock` is pulled, and says what it is given. */
function shopOf({
  web,
  more = '',
  stock = '',
}: {
  web: string;
  more?: string;
  stock?: string;
}): Record<string, string> {
  const serve = 'mkdir -p /tmp/www && echo "$$WORD" > /tmp/www/index.html && exec httpd -f -p 8080 -h /tmp/www';
  return {
    'compose.yaml': `services:
  web:
    build: ./web
    ports: ["8080"]
    ${LIMITS}
    environment: { STOCK: "http://stock:8080/" }
    depends_on: { stock: { condition: service_healthy } }
  stock:
    image: ${steady}
    ${LIMITS}
    expose: ["8080"]
    environment: { WORD: "\${WORD}" }
    command: ["/bin/sh", "-c", ${JSON.stringify(serve)}]
    ${stock}
${more}`,
    '.env': 'WORD=stock\n',
    'web/Dockerfile': `FROM ${docker.corner.image}\nCOPY index.cgi /www/cgi-bin/\nRUN chmod 755 /www/cgi-bin/index.cgi\nCMD ["httpd", "-f", "-p", "8080", "-h", "/www"]\n`,
    'web/index.cgi': `#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n${web} '\nwget -q -O - "$STOCK"\n`,
  };
}

const JOBS = (): string => `  jobs:
    image: ${steady}
    ${LIMITS}
    command: ["/bin/sh", "-c", "exec sleep 1000000"]
    healthcheck: { test: ["CMD", "/bin/true"], interval: 1s }
`;

/** A repository of such a shop. */
function aRepository(before: Record<string, string> = {}) {
  const repository = git.repository();
  let parent: string | undefined;
  const commit = (files: Record<string, string>): string => {
    parent = repository.commit({ ...before, ...files }, parent === undefined ? {} : { parent });
    return parent;
  };
  return { ...repository, commit };
}

const aShop = (url: string, changes: Record<string, unknown> = {}): SpecInit => {
  return { source: { case: 'git', value: { url, composePath: '', ...changes } } } as SpecInit;
};

const pageOf = async ({ name }: Subject): Promise<string> =>
  (await askThroughIngress(platform.httpPort, `${name}.localhost`)).body.trim();

async function succeed(subject: Subject, asked?: { id: string }): Promise<Operation> {
  const outcome = await subject.outcome(asked?.id);
  expect(outcome).toMatchObject({ state: OperationState.SUCCEEDED, errorMessage: '' });
  return outcome;
}

/** Replicas by service, asked of Docker behind the platform's back. */
async function containersOf({ id }: Subject): Promise<Record<string, string>> {
  const filters = { label: [`${LABEL.deploymentId}=${id}`] };
  const containers = await docker.corner.client.listContainers({ all: true, filters });
  return Object.fromEntries(
    containers.map(({ Labels }) => [Labels[LABEL.service] ?? '', Labels[LABEL.replica] ?? '']).sort(),
  );
}

async function toldOf({ id: operationId }: { id: string }): Promise<string[]> {
  const { steps } = await api.operations.getOperation({ operationId });
  return steps.map(({ kind, message }) => `${kind}: ${message}`);
}

async function commitsOf({ id: deploymentId }: Subject): Promise<(string | undefined)[]> {
  const { revisions } = await api.deployments.listRevisions({ deploymentId });
  return revisions.map(({ spec }) => (spec?.source.case === 'compose' ? spec.source.value.git?.commit : undefined));
}

describe('a repository with a Compose file', { timeout: 300_000 }, () => {
  it('runs the services of its commit, those of a pushed one, refuses a third, and returns to the first', async () => {
    const repository = aRepository();
    const first = repository.commit(shopOf({ web: 'web-1' }));
    const subject = await createSubject(api, aShop(repository.url, { ref: 'main' }));
    const created = await succeed(subject);
    expect(await pageOf(subject)).toBe('web-1 stock');
    const told = await toldOf(created);
    const services = '2 services (stock, web)';
    const found = `found the Compose file compose.yaml at its root, at commit ${first.slice(0, 12)}`;
    expect(told).toContain(`source.resolved: main is ${first}`);
    expect(told).toContain(`source.read: ${found}: ${services}`);
    const before = await containersOf(subject);
    expect(Object.keys(before)).toEqual(['stock', 'web']);
    const shown = await obiente(platform, 'status', subject.id);
    expect(shown.stdout).toContain(`2 services of a Compose file in ${repository.url} main at ${first.slice(0, 12)}`);

    const webhook = await obiente(platform, '--json', 'webhook', subject.id);
    const { url, secret } = JSON.parse(webhook.stdout) as { url: string; secret: string };
    const second = repository.commit(shopOf({ web: 'web-2', more: JOBS() }));
    const prober = startProber({ port: platform.httpPort, host: `${subject.name}.localhost`, perSecond: 20 });
    const answer = await fetch(url, gitHubPush({ url: repository.url, secret, commit: second }));
    expect(answer.status).toBe(202);
    const { operationId = '' } = (await answer.json()) as { operationId?: string };
    await succeed(subject, { id: operationId });
    expect(await pageOf(subject)).toBe('web-2 stock');
    const { failed, total } = await prober.stop();
    expect(failed).toEqual([]);
    expect(total).toBeGreaterThan(20);
    const after = await containersOf(subject);
    expect(after).toEqual({
      stock: before.stock,
      web: expect.stringMatching(/^r2-/),
      jobs: expect.stringMatching(/^r2-/),
    });

    const canary = `canary-${randomUUID()}`;
    const third = shopOf({ web: 'web-3', stock: 'privileged: true', more: `x-secret: ${canary}\n` });
    const bad = repository.commit(third);
    const refused = await subject.update(aShop(repository.url, { ref: 'main' }));
    const outcome = await subject.outcome(refused.id);
    expect(outcome).toMatchObject({ state: OperationState.FAILED, errorCode: 'SOURCE_REFUSED' });
    expect(outcome.errorMessage).toContain(`compose.yaml of commit ${bad.slice(0, 12)}: services.stock.privileged: `);
    expect(outcome.errorMessage).not.toContain(canary);
    const operation = await obiente(platform, 'operation', refused.id);
    expect(operation.stdout).toContain('services.stock.privileged');
    expect(await containersOf(subject)).toEqual(after);
    expect(await pageOf(subject)).toBe('web-2 stock');

    const asked = git.server().requests.length;
    const back = await api.deployments.rollbackDeployment({
      ...{ idempotencyKey: randomUUID(), deploymentId: subject.id, toRevision: 1 },
    });
    await succeed(subject, back.operation);
    expect(await pageOf(subject)).toBe('web-1 stock');
    expect(await containersOf(subject)).toEqual({ stock: before.stock, web: expect.stringMatching(/^r4-/) });
    expect(git.server().requests.length).toBe(asked);
    expect(await commitsOf(subject)).toEqual([first, bad, second, first]);
    await subject.remove();
    expect(await containersOf(subject)).toEqual({});
  });

  it('is found by itself where there is nothing else, and passed over beside a Dockerfile unless it is asked for', async () => {
    const repository = aRepository();
    repository.commit(shopOf({ web: 'web-1' }));
    const name = `git-${randomUUID().slice(0, 8)}`;
    const options = ['--git', repository.url, '--name', name];
    const deployed = await obiente(platform, 'deploy', ...options, '--port', '8080', '-e', 'WORD=given');
    expect(deployed).toMatchObject({ code: 0 });
    expect(deployed.stderr).toContain('spec.port: left out');
    const subject = { name } as Subject;
    expect(await pageOf(subject)).toBe('web-1 given');

    const page = {
      'index.html': 'the image',
      Dockerfile: `FROM ${docker.corner.image}\nCOPY index.html /www/\nCMD ["httpd", "-f", "-p", "8080", "-h", "/www"]\n`,
    };
    repository.commit({ ...shopOf({ web: 'web-2' }), ...page });
    const asked = await obiente(platform, 'deploy', ...options, '--compose');
    expect(asked).toMatchObject({ code: 0 });
    expect(await pageOf(subject)).toBe('web-2 given');
    const both = await obiente(platform, 'deploy', ...options, '--compose', '--dockerfile', 'Dockerfile');
    expect(both).toMatchObject({ code: 3 });

    const other = await createSubject(api, fromGit(repository.url));
    expect(await toldOf(await succeed(other))).toContainEqual(
      expect.stringMatching(/source\.read: found a Dockerfile at its root; compose\.yaml is there too/),
    );
    expect(await pageOf(other)).toBe('the image');
    await other.remove();
    expect(await obiente(platform, 'rm', name)).toMatchObject({ code: 0 });
  });

  it('reads a file of another name in a folder, and nothing through links or above it', async () => {
    const { 'compose.yaml': file = '', ...rest } = shopOf({ web: 'web-1' });
    const moved = Object.fromEntries(Object.entries(rest).map(([path, text]) => [`deploy/${path}`, text]));
    const repository = git.repository();
    const link = { mode: '120000', content: 'stack.yaml' };
    repository.commit({ ...moved, 'deploy/stack.yaml': file, 'deploy/link.yaml': link, 'README.md': 'x' });
    const subject = await createSubject(api, aShop(repository.url, { composePath: 'deploy/stack.yaml' }));
    await succeed(subject);
    expect(await pageOf(subject)).toBe('web-1 stock');
    for (const [composePath, found] of [
      ['deploy/link.yaml', 'is a link'],
      ['deploy/none.yaml', 'has no file'],
      ['none.yaml', 'looked for none.yaml'],
    ] as const) {
      const { id } = await subject.update(aShop(repository.url, { composePath }));
      const outcome = await subject.outcome(id);
      expect(outcome).toMatchObject({ state: OperationState.FAILED, errorCode: 'SOURCE_REFUSED' });
      expect(outcome.errorMessage).toContain(found);
    }
    const { id } = await subject.update(aShop(repository.url, { subdirectory: 'deploy', composePath: 'stack.yaml' }));
    await succeed(subject, { id });
    expect(await pageOf(subject)).toBe('web-1 stock');
    await subject.remove();
  });
});
