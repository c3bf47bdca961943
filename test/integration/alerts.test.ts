import { afterAll, describe, expect, it } from 'vitest';
import { LABEL } from '../../domain/naming.ts';
import { OperationState } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { tarOf } from '../support/docker.ts';
import { eventually } from '../support/eventually.ts';
import { obiente, openApi, pidOf } from '../support/platform.ts';
import { useTestDocker } from '../support/test-docker.ts';
import { openWebhookReceiver, type WebhookReceiver } from '../support/webhook-receiver.ts';
import { createSubject } from './deployed.ts';
import { aFragileServer } from './fragile-server.ts';
import { platformOfWorker } from './platforms.ts';

const platform = platformOfWorker();
const api = openApi(platform);
const docker = useTestDocker();
afterAll(() => api.close());

const SECRET = 'a secret that only both know';

/** Tells a receiver of everything while `use` runs. */
async function withReceiver(use: (told: WebhookReceiver['told']) => Promise<void>): Promise<void> {
  const receiver = await openWebhookReceiver(SECRET);
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

      const subject = await createSubject(api, aFragileServer(docker.corner.image));
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
