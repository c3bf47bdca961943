import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, describe, expect, it } from 'vitest';
import { LABEL } from '../../domain/naming.ts';
import { OperationState } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { tarOf } from '../support/docker.ts';
import { eventually } from '../support/eventually.ts';
import { obiente, openApi, pidOf } from '../support/platform.ts';
import { useTestDocker } from '../support/test-docker.ts';
import { aWebServer, createSubject } from './deployed.ts';
import { platformOfWorker } from './platforms.ts';

const platform = platformOfWorker();
const api = openApi(platform);
const docker = useTestDocker();
afterAll(() => api.close());

const SECRET = 'a secret that only both know';

/** A receiver on this machine: what it was told, with a signature that is right. */
async function aReceiver() {
  const told: { readonly event: string; readonly rule: string; readonly deployment: string | null }[] = [];
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const body = Buffer.concat(parts).toString();
    const [, t, v1] = /^t=(\d+),v1=([0-9a-f]+)$/.exec(`${request.headers['obiente-signature']}`) ?? [];
    const isOurs = createHmac('sha256', SECRET).update(`${t}.${body}`).digest('hex') === v1;
    const { event, alert } = JSON.parse(body);
    if (isOurs) told.push({ event, rule: alert?.rule ?? '', deployment: alert?.deployment ?? null });
    response.writeHead(isOurs ? 204 : 401).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const close = (): void => {
    server.closeAllConnections();
    server.close();
  };
  return { told, url: `http://127.0.0.1:${port}/`, close };
}

/** A web server that exits as soon as its container has a file `/broken`. */
function aFragileServer() {
  const isBroken = '[ -e /broken ]';
  const serve = 'mkdir -p /tmp/www && echo "$BODY" > /tmp/www/index.html && httpd -p 8080 -h /tmp/www';
  const script = `if ${isBroken}; then exit 3; fi; ${serve}; until ${isBroken}; do sleep 0.2; done; exit 3`;
  const interval = { seconds: 0n, nanos: 500_000_000 };
  const healthCheck = { kind: { case: 'automatic', value: {} }, interval } as const;
  return aWebServer(docker.corner.image, 'here', { command: ['/bin/sh', '-c', script], healthCheck });
}

/** Tells a receiver of everything while `use` runs. */
async function withReceiver(
  use: (told: Awaited<ReturnType<typeof aReceiver>>['told']) => Promise<void>,
): Promise<void> {
  const receiver = await aReceiver();
  const { organizations } = await api.organizations.listOrganizations({});
  const [organizationId, name] = [organizations[0]?.id ?? '', 'receiver'];
  const target = { case: 'webhook', value: { url: receiver.url, secret: SECRET } } as const;
  await api.alerts.createNotificationTarget({ idempotencyKey: crypto.randomUUID(), organizationId, name, target });
  try {
    await use(receiver.told);
    const { targets } = await api.alerts.listNotificationTargets({ organizationId });
    expect(targets).toMatchObject([{ name, failed: 0, lastError: '' }]);
  } finally {
    await api.alerts.deleteNotificationTarget({ organizationId, name });
    receiver.close();
  }
}

describe('alerts of the whole platform', { timeout: 480_000 }, () => {
  it('tell a crash loop once at its begin and once at its end, by a target that was tried before', async () => {
    await withReceiver(async (told) => {
      await obiente(platform, 'alerts', 'targets', 'test', 'receiver');
      await eventually(() => expect(told.map(({ event }) => event)).toEqual(['test']));

      const subject = await createSubject(api, aFragileServer());
      expect(await subject.outcome()).toMatchObject({ state: OperationState.SUCCEEDED });
      const rules = await obiente(platform, 'alerts', 'rules', subject.id);
      expect(rules.stdout).toContain('crash-loop');
      const filters = { label: [`${LABEL.deploymentId}=${subject.id}`] };
      const [found] = await docker.corner.client.listContainers({ all: true, filters });
      const container = docker.corner.client.getContainer(found?.Id ?? '');
      await container.putArchive(tarOf({ broken: 'x' }), { path: '/' });
      const loops = () =>
        told.flatMap(({ event, rule, deployment }) =>
          rule === 'crash-loop' && deployment === subject.name ? [event] : [],
        );
      await eventually(() => expect(loops()).toEqual(['alert.fired']), { patienceMs: 120_000 });
      const listed = await obiente(platform, 'alerts');
      expect(listed.stdout).toMatch(new RegExp(`crash-loop +${subject.name} +critical +firing`));

      // Fresh replicas are not broken; one that is mended is taken for steady after ten minutes.
      expect((await obiente(platform, 'restart', subject.id)).code).toBe(0);
      await eventually(() => expect(loops()).toEqual(['alert.fired', 'alert.resolved']), { patienceMs: 120_000 });
      const history = await obiente(platform, 'alerts', 'history');
      expect(history.stdout).toMatch(new RegExp(`crash-loop +${subject.name} +critical +resolved`));
      await subject.remove();
    });
  });

  it('tell operators of a node that is lost, once, and of a streamer that is silent', async () => {
    await withReceiver(async (told) => {
      expect((await obiente(platform, 'alerts', 'targets', 'platform', 'receiver')).code).toBe(0);
      const events = (rule: string) => told.flatMap((one) => (one.rule === rule ? [one.event] : []));
      const streamer = await pidOf(platform, 'streamer');
      process.kill(streamer, 'SIGSTOP');
      try {
        await eventually(() => expect(events('streamer-silent')).toEqual(['alert.fired']), { patienceMs: 180_000 });
      } finally {
        process.kill(streamer, 'SIGCONT');
      }
      await eventually(() => expect(events('streamer-silent')).toEqual(['alert.fired', 'alert.resolved']), {
        patienceMs: 120_000,
      });
      const node = await pidOf(platform, 'node');
      process.kill(node, 'SIGSTOP');
      try {
        await eventually(() => expect(events('node-lost')).toEqual(['alert.fired']), { patienceMs: 120_000 });
      } finally {
        process.kill(node, 'SIGCONT');
      }
      await eventually(() => expect(events('node-lost')).toEqual(['alert.fired', 'alert.resolved']), {
        patienceMs: 120_000,
      });
      expect(events('streamer-silent')).toEqual(['alert.fired', 'alert.resolved']);
    });
  });
});
