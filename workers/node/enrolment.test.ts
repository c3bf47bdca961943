import { expect, it } from 'vitest';
import type { Introduction } from '../../adapters/control-client/control-client.ts';
import { createLog } from '../../adapters/logging/log.ts';
import { eventually } from '../../test/support/eventually.ts';
import { createEnrolment } from './enrolment.ts';
import { createNodeLease } from './lease.ts';

it('introduces the node anew once it would be described otherwise, and renews the lease as long as it would not', async () => {
  const labels: Introduction['labels'][] = [];
  let renewals = 0;
  let described = '';
  let region = 'eu';
  const lease = createNodeLease();
  const enrolment = createEnrolment({
    control: {
      enrol: async ({ labels: told }) => {
        labels.push(told);
        return { controlJwks: '{}', leaseMs: 15_000, epoch: labels.length };
      },
      heartbeat: async () => {
        renewals += 1;
        region = 'us';
        return { controlJwks: '{}', leaseMs: 15_000 };
      },
      releaseLease: async () => undefined,
    },
    introduce: async () => {
      described = region;
      return { labels: { region } } as unknown as Introduction;
    },
    isOutdated: () => described !== region,
    enrolledAnew: () => undefined,
    docker: () => ({ state: 'ready', reason: '' }),
    lease,
    holding: { holder: 'a-process', replaces: () => '', keep: async () => undefined },
    keepControlJwks: async () => undefined,
    log: createLog({ role: 'node', level: 'silent' }),
  });
  const leaving = new AbortController();
  const running = enrolment.run(leaving.signal);
  await eventually(() => expect(labels).toEqual([{ region: 'eu' }, { region: 'us' }]));
  expect(renewals).toBe(1);
  expect(lease.epoch()).toBe(2);
  leaving.abort();
  await running;
});
