import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Api, createApi } from '../../cli/client.ts';
import { fixedToken } from '../../cli/tokens.ts';
import { OperationState } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { RestartPolicy } from '../../gen/obiente/cloud/v1/spec_pb.ts';
import { askThroughIngress } from '../support/http.ts';
import { openApi } from '../support/platform.ts';
import { REGISTRY_USERS, type RegistryUser, startTestRegistry, type TestRegistry } from '../support/registry.ts';
import { useTestDocker } from '../support/test-docker.ts';
import { openTokenForge } from './access-tokens.ts';
import { aWebServer, createSubject, type SpecInit, type Subject } from './deployed.ts';
import { platformOfWorker } from './platforms.ts';

const platform = platformOfWorker();
const api = openApi(platform);
const docker = useTestDocker();
let stranger: Api;
let open: TestRegistry;
let closed: TestRegistry;

beforeAll(async () => {
  const forge = await openTokenForge(platform);
  const subject = `stranger-${randomUUID()}`;
  stranger = createApi({ url: platform.apiUrl, tokens: fixedToken(forge.make({ claims: { sub: subject } })) });
  const [openPort = 0, closedPort = 0] = platform.registryPorts;
  open = await startTestRegistry({ authenticated: false, port: openPort });
  closed = await startTestRegistry({ authenticated: true, port: closedPort });
});
afterAll(async () => {
  await open?.remove(docker.corner.client);
  await closed?.remove(docker.corner.client);
  stranger?.close();
  api.close();
});

/** An image that has not been pushed yet: tests never share one. */
function aName(tag: string): string {
  return `acme/app-${randomUUID().slice(0, 8)}:${tag}`;
}

/** Pushes the image anew; its applications answer with the mark. */
async function push(registry: TestRegistry, name: string, mark: string): Promise<string> {
  return await registry.push(docker.corner.client, docker.corner.image, { name, mark });
}

/** Answers with the mark of the image that it runs. */
function showingMark(registry: TestRegistry, name: string): SpecInit {
  const serve = 'mkdir -p /tmp/www && echo "$MARK" > /tmp/www/index.html && exec httpd -f -p 8080 -h /tmp/www';
  return aWebServer(`${registry.host}/${name}`, '', { command: ['/bin/sh', '-c', serve] });
}

async function store(as: Api, { username, password }: RegistryUser): Promise<void> {
  const organizationId = (await as.identity.whoAmI({})).memberships[0]?.organizationId ?? '';
  const request = { idempotencyKey: randomUUID(), organizationId, host: closed.host, username, password };
  await as.registries.setRegistryCredential(request);
}

async function markOf({ name }: Subject): Promise<string> {
  return (await askThroughIngress(platform.httpPort, `${name}.localhost`)).body.trim();
}

async function digestsOf(subject: Subject): Promise<string[]> {
  return (await subject.get()).replicas.map(({ imageDigest }) => imageDigest);
}

describe('a deployment of latest', { timeout: 240_000 }, () => {
  it('runs what the tag names at each deploy, and what it named then until the next one', async () => {
    const name = aName('latest');
    const first = await push(open, name, 'first');
    const subject = await createSubject(api, { ...showingMark(open, name), replicas: 2 });
    expect(await subject.outcome()).toMatchObject({ state: OperationState.SUCCEEDED });
    expect(await digestsOf(subject)).toEqual([first, first]);

    const second = await push(open, name, 'second');
    const broken = { command: ['/bin/sh', '-c', 'exit 3'], restartPolicy: RestartPolicy.NEVER };
    const refused = await subject.update({ ...showingMark(open, name), ...broken, replicas: 2 });
    expect(await subject.outcome(refused.id)).toMatchObject({ state: OperationState.FAILED });
    expect([await markOf(subject), await digestsOf(subject)]).toEqual(['first', [first, first]]);

    const { id } = await subject.update({ ...showingMark(open, name), replicas: 2 });
    expect(await subject.outcome(id)).toMatchObject({ state: OperationState.SUCCEEDED });
    expect([await markOf(subject), await digestsOf(subject)]).toEqual(['second', [second, second]]);

    await open.stop();
    const away = await subject.update(showingMark(open, name));
    const outcome = await subject.outcome(away.id);
    expect(outcome).toMatchObject({ state: OperationState.FAILED, errorCode: 'IMAGE_UNAVAILABLE' });
    expect(outcome.errorMessage).toContain('connection refused');
    expect(await markOf(subject)).toBe('second');
    await open.start();
    await subject.remove();
  });
});

describe('a deployment from a private registry', { timeout: 240_000 }, () => {
  it("needs a credential of its own organization, and another one's does not do", async () => {
    const name = aName('1.0');
    const digest = await push(closed, name, 'private');
    const subject = await createSubject(api, showingMark(closed, name));
    const without = await subject.outcome();
    expect(without).toMatchObject({ state: OperationState.FAILED, errorCode: 'IMAGE_UNAVAILABLE' });
    expect(without.errorHint).toContain(`obiente registries add ${closed.host}`);

    await store(api, { ...REGISTRY_USERS.alice, password: 'canary-wrong-password' });
    const wrong = await subject.outcome((await subject.update(showingMark(closed, name))).id);
    expect(wrong).toMatchObject({ state: OperationState.FAILED, errorCode: 'IMAGE_UNAVAILABLE' });
    expect(wrong.errorMessage).toContain('unauthorized');
    expect(wrong.errorMessage).not.toContain('canary');

    await store(api, REGISTRY_USERS.alice);
    const right = await subject.outcome((await subject.update(showingMark(closed, name))).id);
    expect(right).toMatchObject({ state: OperationState.SUCCEEDED });
    expect([await markOf(subject), await digestsOf(subject)]).toEqual(['private', [digest]]);

    const byTag = await createSubject(stranger, showingMark(closed, name));
    const byDigest = await createSubject(stranger, showingMark(closed, name.replace(':1.0', `@${digest}`)));
    for (const theirs of [byTag, byDigest]) {
      expect(await theirs.outcome()).toMatchObject({ state: OperationState.FAILED, errorCode: 'IMAGE_UNAVAILABLE' });
    }
    await store(stranger, REGISTRY_USERS.bob);
    const { id } = await byTag.update(showingMark(closed, name));
    expect(await byTag.outcome(id)).toMatchObject({ state: OperationState.SUCCEEDED });
    for (const each of [subject, byTag, byDigest]) await each.remove();
  });
});
