import { randomUUID } from 'node:crypto';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listOwnPeriods } from '../../adapters/postgres/metered-deployments.ts';
import { readOwnHoursOf } from '../../adapters/postgres/metrics-periods.ts';
import { type MetricsDatabase, openMetricsDatabase } from '../../adapters/timescale/metrics-database.ts';
import { createMetricsReader } from '../../adapters/timescale/metrics-reader.ts';
import { migrateMetrics } from '../../adapters/timescale/migrate.ts';
import { rollUpHours } from '../../adapters/timescale/roll-up.ts';
import { createRowStore } from '../../adapters/timescale/row-store.ts';
import { monthOf } from '../../domain/metrics/monthly-usage.ts';
import { UsageService } from '../../gen/obiente/cloud/v1/usage_pb.ts';
import { type ApiRig, OPERATOR, startApiRig } from '../../test/support/api-rig.ts';
import { aRow, minuteMs, NODE } from '../../test/support/metrics-storage.ts';
import { refusalOf } from '../../test/support/refusal.ts';
import { evenCounters } from '../../test/support/samples.ts';

const HOUR_MS = 3_600_000;
const MAX_COUNT = Number.MAX_SAFE_INTEGER;

let rig: ApiRig;
let metrics: MetricsDatabase;

beforeAll(async () => {
  rig = await startApiRig();
  metrics = openMetricsDatabase(rig.url);
  await migrateMetrics(metrics);
});
afterAll(async () => {
  await metrics?.destroy();
  await rig?.stop();
});

const usageOf = (name: string) => rig.clientOf(UsageService, name);
const hours = (count: number) => durationFromMs(count * HOUR_MS);
const unknownOrganization = randomUUID();

async function aDeployment(user: Awaited<ReturnType<ApiRig['user']>>, name: string): Promise<string> {
  const spec = { source: { case: 'image', value: { reference: 'nginx:1' } } } as const;
  const creation = { idempotencyKey: randomUUID(), projectId: user.projectId, name, spec };
  return (await user.deployments.createDeployment(creation)).deployment?.id ?? '';
}

/** Stores one minute of each replica, in which each counted this much. */
async function use(deploymentId: string, atMs: number, counts: readonly number[]): Promise<void> {
  const rows = counts.map((count, replica) =>
    aRow({
      ...evenCounters(count),
      ...{ deploymentId, minuteMs: atMs, replicaId: `r1-${replica}`, containerId: `${replica}`.repeat(64) },
      ...{ memoryAverageBytes: MAX_COUNT, memoryMaxBytes: MAX_COUNT, observedMs: 60_500 },
    }),
  );
  await createRowStore(metrics, () => NODE).insertRows({ kind: 'container', rows });
  while ((await rollUpHours(metrics, 500)) > 0);
}

describe('usage', () => {
  // Forty days ago is another month, whatever day it is.
  const [nowMs, beforeMs] = [minuteMs(), minuteMs(40 * 24 * 60)];
  const [month, monthBefore] = [monthOf(nowMs), monthOf(beforeMs)];
  let alice: Awaited<ReturnType<ApiRig['user']>>;
  let web: string;
  let gone: string;

  beforeAll(async () => {
    alice = await rig.user('alice');
    web = await aDeployment(alice, 'web');
    await aDeployment(alice, 'unused');
    const foreign = await aDeployment(await rig.user('mallory'), 'web');
    gone = await aDeployment(alice, 'api');
    await rig.db.deleteFrom('deployments').where('id', '=', gone).execute();
    await use(web, nowMs, [MAX_COUNT, MAX_COUNT, 2]);
    await use(web, beforeMs, [7]);
    await use(gone, nowMs, [1_000_000_001]);
    await use(foreign, nowMs, [4711]);
  });

  it('says that no metrics database is known where there is none', async () => {
    const { organizationId } = alice;
    expect(await refusalOf(usageOf('alice').getUsage({ organizationId }))).toMatchObject({
      ...{ code: 'Unavailable', error: 'DATABASE_UNAVAILABLE' },
      message: 'this control plane does not know a metrics database',
    });
  });

  describe('with a metrics database', () => {
    beforeAll(() => {
      rig.world.usage = createMetricsReader(metrics);
    });

    it('of the month is exact over replicas and deployments, with those that are gone and nobody else’s', async () => {
      const { months } = await usageOf('alice').getUsage({ organizationId: alice.organizationId });
      const memory = (replicas: number) => String((BigInt(MAX_COUNT) * BigInt(replicas) * 121n) / 2n);
      const half = (replicas: number) => (replicas % 2 === 0 ? '' : '.5');
      const [bytes, all] = ['18014398509481984', '18014399509481985'];
      expect(months).toMatchObject([
        {
          ...{ month, incomplete: false },
          deployments: [
            {
              ...{ deploymentId: gone, name: 'api', gone: true },
              usage: { cpuCoreSeconds: '1.000000001', diskReadBytes: '1000000001', uptimeSeconds: '60.5' },
            },
            {
              ...{ deploymentId: web, name: 'web', gone: false },
              usage: {
                ...{ cpuCoreSeconds: '18014398.509481984', memoryByteSeconds: `${memory(3)}${half(3)}` },
                ...{ networkReceiveBytes: bytes, networkTransmitBytes: bytes },
                ...{ diskReadBytes: bytes, diskWriteBytes: bytes, uptimeSeconds: '181.5' },
              },
            },
          ],
          total: {
            ...{ cpuCoreSeconds: '18014399.509481985', memoryByteSeconds: `${memory(4)}${half(4)}` },
            ...{ networkReceiveBytes: all, diskWriteBytes: all, uptimeSeconds: '242' },
          },
        },
      ]);
    });

    it('of a range has every month of it, and of a deployment by name or id only that', async () => {
      const { organizationId } = alice;
      const range = { organizationId, firstMonth: monthBefore, lastMonth: month };
      for (const deployment of ['web', web, web.toUpperCase()]) {
        const { months } = await usageOf('alice').getUsage({ ...range, deployment });
        expect(months.map(({ total }) => total?.diskReadBytes).filter((bytes) => bytes !== '0')).toEqual([
          ...['7', '18014398509481984'],
        ]);
        expect(months[0]?.month).toBe(monthBefore);
        expect(months.flatMap(({ deployments }) => deployments.map(({ name }) => name))).toEqual(['web', 'web']);
      }
      const { months } = await usageOf('alice').getUsage({ ...range, deployment: 'unused' });
      expect(months.every(({ total, deployments }) => total?.uptimeSeconds === '0' && deployments.length === 0)).toBe(
        true,
      );
    });

    it('is for a viewer to read, and for nobody of another organization, named beside it or not', async () => {
      const { organizationId } = alice;
      const viewer = await rig.user('viewer');
      const membership = { organization_id: organizationId, user_id: viewer.userId, role: 'viewer' } as const;
      await rig.db.insertInto('memberships').values(membership).execute();
      expect((await usageOf('viewer').getUsage({ organizationId })).months[0]?.deployments).toHaveLength(2);
      for (const user of ['mallory', OPERATOR]) {
        expect(await refusalOf(usageOf(user).getUsage({ organizationId }))).toMatchObject({ code: 'NotFound' });
      }
      const own = { organizationId: (await rig.user('mallory')).organizationId, deployment: web };
      expect(await refusalOf(usageOf('mallory').getUsage(own))).toMatchObject({
        ...{ code: 'NotFound', message: 'deployment not found' },
      });
    });

    it('of months that are none is refused, with what is allowed', async () => {
      const { organizationId } = alice;
      for (const [months, field, words] of [
        [{ firstMonth: '2026-13' }, 'first_month', '"2026-13" is no month; allowed is YYYY-MM'],
        [{ firstMonth: '2026-02', lastMonth: '2026-01' }, 'last_month', 'is before "2026-02"'],
        [
          { firstMonth: '2021-01', lastMonth: '2026-01' },
          'last_month',
          'has 61 months; allowed is a range of at most 36',
        ],
      ] as const) {
        const refusal = await refusalOf(usageOf('alice').getUsage({ organizationId, ...months }));
        expect(refusal).toMatchObject({ code: 'InvalidArgument', field, message: expect.stringContaining(words) });
      }
    });

    it('is not told in part, neither while the metrics database is away nor when it is too much', async () => {
      const { organizationId } = alice;
      const away = openMetricsDatabase('postgres://nobody@127.0.0.1:1/nothing');
      rig.world.usage = createMetricsReader(away, metrics);
      expect(await refusalOf(usageOf('alice').getUsage({ organizationId }))).toMatchObject({
        ...{ code: 'Unavailable', error: 'DATABASE_UNAVAILABLE' },
      });
      await away.destroy();
      const range = { fromMs: 0, toMs: Date.UTC(2100, 0) };
      const rows = await createMetricsReader(metrics).listMonthlyUsage([web], range);
      expect(rows).toHaveLength(2);
      expect(await createMetricsReader(metrics).listMonthlyUsage([web], range, 1)).toEqual(rows.slice(0, 1));
      rig.world.usage = {
        listMonthlyUsage: async (_ids, _range, limit = 0) => Array.from({ length: limit }, () => rows).flat(),
      };
      expect(await refusalOf(usageOf('alice').getUsage({ organizationId }))).toMatchObject({
        ...{ code: 'InvalidArgument', field: 'first_month' },
        message: 'first_month: the range has more than 20000 rows of deployments; allowed are at most 20000',
      });
      rig.world.usage = createMetricsReader(metrics);
    });

    it('says of a month that is older than hours are kept that it is incomplete', async () => {
      const { organizationId } = alice;
      const { months } = await usageOf('alice').getUsage({ organizationId, firstMonth: '2020-01' });
      expect(months).toMatchObject([{ month: '2020-01', incomplete: true, deployments: [] }]);
    });
  });
});

describe('the periods of metrics', () => {
  const PLATFORM = { minutes: { keep: hours(24), own: false }, hours: { keep: hours(9600), own: false } };

  it('are the platform’s until an operator gives the organization its own, and again after that', async () => {
    const user = await rig.user('bob');
    const { organizationId } = user;
    const deploymentId = await aDeployment(user, 'web');
    const read = async (name: string) => (await usageOf(name).getMetricsRetention({ organizationId })).retention;
    expect(await read('bob')).toMatchObject(PLATFORM);
    const operator = usageOf(OPERATOR);
    const set = { organizationId: organizationId.toUpperCase(), minutes: hours(48) };
    for (const _ of [1, 2]) await operator.setMetricsRetention(set);
    const { retention } = await operator.setMetricsRetention({ organizationId, hours: hours(10_000) });
    expect(retention).toMatchObject({
      minutes: { keep: hours(48), own: true, default: hours(24) },
      hours: { keep: hours(10_000), own: true, default: hours(9600) },
    });
    for (const name of ['bob', OPERATOR]) expect(await read(name)).toEqual(retention);

    // This is what the clearing away and the choice of a resolution read.
    expect((await listOwnPeriods(rig.db)).filter((own) => own.deploymentIds.includes(deploymentId))).toEqual([
      { kind: 'metrics_hours', keepHours: 10_000, deploymentIds: [deploymentId] },
      { kind: 'metrics_minutes', keepHours: 48, deploymentIds: [deploymentId] },
    ]);
    expect(await readOwnHoursOf(rig.db, deploymentId)).toEqual({ metrics_minutes: 48, metrics_hours: 10_000 });

    for (const _ of [1, 2]) {
      expect((await operator.resetMetricsRetention({ organizationId })).retention).toMatchObject(PLATFORM);
    }
    expect(await read('bob')).toMatchObject(PLATFORM);
  });

  it('are not for members to set, and not there for others', async () => {
    const { organizationId } = await rig.user('bob');
    const set = usageOf('bob').setMetricsRetention({ organizationId, minutes: hours(48) });
    expect(await refusalOf(set)).toMatchObject({ code: 'PermissionDenied' });
    const reset = usageOf('bob').resetMetricsRetention({ organizationId });
    expect(await refusalOf(reset)).toMatchObject({ code: 'PermissionDenied' });
    await rig.user('mallory');
    const foreign = usageOf('mallory').getMetricsRetention({ organizationId });
    expect(await refusalOf(foreign)).toMatchObject({ code: 'NotFound' });
    const operator = usageOf(OPERATOR);
    for (const call of [
      () => operator.setMetricsRetention({ organizationId: unknownOrganization, minutes: hours(48) }),
      () => operator.resetMetricsRetention({ organizationId: unknownOrganization }),
      () => operator.getMetricsRetention({ organizationId: unknownOrganization }),
    ]) {
      expect(await refusalOf(call())).toMatchObject({ code: 'NotFound', message: 'organization not found' });
    }
  });

  it('have bounds, and what is refused changes nothing', async () => {
    const { organizationId } = await rig.user('carol');
    for (const [wanted, field, words] of [
      [{}, 'minutes', 'neither minutes nor hours are set'],
      [{ minutes: hours(721) }, 'minutes', 'found 721 hours; allowed is whole hours from 1 to 720'],
      [{ minutes: durationFromMs(90_000) }, 'minutes', 'found 90 seconds'],
      [{ minutes: { seconds: 3600n, nanos: 1 } }, 'minutes', 'found 3600.000000001 seconds'],
      [{ minutes: hours(48), hours: hours(0) }, 'hours', 'found 0 hours; allowed is whole hours from 1 to 87600'],
      [{ hours: hours(87_601) }, 'hours', 'found 87601 hours'],
      [{ minutes: hours(48), hours: hours(47) }, 'hours', 'minutes would be kept for 48 hours and hours for 47 hours'],
    ] as const) {
      const refusal = await refusalOf(usageOf(OPERATOR).setMetricsRetention({ organizationId, ...wanted }));
      expect(refusal).toMatchObject({ code: 'InvalidArgument', field, message: expect.stringContaining(words) });
    }
    expect((await usageOf('carol').getMetricsRetention({ organizationId })).retention).toMatchObject(PLATFORM);
  });
});
