import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { beforeEach, describe, expect, it } from 'vitest';
import type { MeasuredUsage } from '../../../activities/evaluate-alerts.ts';
import { FIRST_SUBJECT } from '../../../contracts/alerts.ts';
import type { AlertRuleName } from '../../../domain/alerts/alert-rules.ts';
import { aSpec } from '../../../test/support/builders.ts';
import {
  aCreation,
  aReadyNode,
  aTenant,
  rollOut,
  type Tenant,
  withoutNodes,
} from '../../../test/support/control-data.ts';
import { useTestDatabase } from '../../../test/support/database.ts';
import { createDeploymentStore } from '../deployment-store.ts';
import { createAlertEvaluator } from './evaluator.ts';
import { recordCertificate, recordStreamers } from './observations.ts';

const database = useTestDatabase();
const placement = { strategy: 'least-loaded', maxDeploymentsPerNode: 50 } as const;
let [tenant, nodeId, deploymentId, targetId]: [Tenant, string, string, string] = [{} as Tenant, '', '', ''];

beforeEach(async () => {
  const { db } = database;
  for (const table of ['notifications', 'alerts', 'silences', 'alert_rules', 'notification_targets'] as const) {
    await db.deleteFrom(table).execute();
  }
  await db.deleteFrom('certificate_observations').execute();
  await withoutNodes(db);
  tenant = await aTenant(db);
  nodeId = await aReadyNode(db);
  const creation = aCreation(tenant);
  deploymentId = creation.deploymentId;
  const store = createDeploymentStore(db, { domain: 'example.test', placement });
  await rollOut(store, deploymentId, await store.storeOperation(creation));
  await db.updateTable('replicas').set({ state: 'healthy' }).execute();
  targetId = await aTarget(tenant.organizationId);
});

async function aTarget(organizationId: string, platform = false): Promise<string> {
  const id = randomUUID();
  const config = JSON.stringify({ kind: 'webhook', url: 'https://hooks.example.com/' });
  await database.db
    .insertInto('notification_targets')
    .values({ id, organization_id: organizationId, name: `hook-${id.slice(0, 8)}`, config, platform })
    .execute();
  return id;
}

const QUIET: MeasuredUsage = { cpuPercent: 10, memoryPercent: 20, serverErrorPercent: 0 };

/** One evaluation of everything, as the schedule makes it. */
async function evaluate(usage: MeasuredUsage = QUIET): Promise<{ fired: number; resolved: number }> {
  const evaluator = createAlertEvaluator(database.db);
  let counts = { fired: 0, resolved: 0 };
  for (let cursor: typeof FIRST_SUBJECT | null = FIRST_SUBJECT; cursor; ) {
    const page = await evaluator.listSubjects(cursor);
    const measured = new Map(page.ids.map((id) => [id, usage]));
    const { fired, resolved } = await (page.kind === 'nodes'
      ? evaluator.evaluateNodes(page.ids)
      : evaluator.evaluateDeployments(page.ids, measured));
    counts = { fired: counts.fired + fired, resolved: counts.resolved + resolved };
    cursor = page.next;
  }
  return counts;
}

/** Lets time pass for what is open, without waiting for it. */
async function pass(minutes: number): Promise<void> {
  const by = sql`make_interval(secs => ${60 * minutes})`;
  await sql`UPDATE alerts SET pending_at = pending_at - ${by}, clear_since = clear_since - ${by}
    WHERE state <> 'resolved'`.execute(database.db);
}

async function told(): Promise<string[]> {
  const rows = await database.db
    .selectFrom('notifications')
    .innerJoin('alerts', 'alerts.id', 'notifications.alert_id')
    .select(['alerts.rule', 'notifications.kind'])
    .orderBy('notifications.created_at')
    .orderBy('notifications.kind')
    .execute();
  return rows.map(({ rule, kind }) => `${rule} ${kind}`);
}

const setNode = (values: { state?: 'ready' | 'lost'; reason?: string; disk_level?: 'room' | 'full' }) =>
  database.db.updateTable('nodes').set(values).where('id', '=', nodeId).execute();
const setReplicas = (values: { state?: 'healthy' | 'exited'; restart_streak?: number }) =>
  database.db.updateTable('replicas').set(values).where('deployment_id', '=', deploymentId).execute();
const streamer = (changes: object = {}) =>
  recordStreamers(database.db, [
    { ...{ nodeId, reachable: true, healthy: true, breakerState: 0, spoolAgeSeconds: 0, rowsLost: 0 }, ...changes },
  ]);
const restarted = (count: number) =>
  database.db
    .insertInto('deployment_events')
    .values(
      Array.from({ length: count }, () => ({
        ...{ deployment_id: deploymentId, organization_id: tenant.organizationId },
        ...{ kind: 'replica.restarted', message: 'again', details: '{}' },
      })),
    )
    .execute();
const aVolume = () =>
  database.db
    .insertInto('volumes')
    .values({
      ...{ id: randomUUID(), organization_id: tenant.organizationId, project_id: tenant.projectId, name: 'data' },
      ...{ node_id: nodeId, writer_deployment_id: deploymentId, writer_service: 'app' },
    })
    .execute();
const certificateFor = async (days: number) => {
  const route = await database.db.selectFrom('routes').select('hostname').executeTakeFirstOrThrow();
  await recordCertificate(database.db, route.hostname, new Date(Date.now() + days * 24 * 3_600_000));
};

/** What makes each rule fire, and what ends that. What else it raises is part of the same fault. */
interface Fault {
  readonly rule: AlertRuleName;
  readonly also?: readonly AlertRuleName[];
  readonly usage?: MeasuredUsage;
  readonly harm?: () => Promise<unknown>;
  readonly heal?: () => Promise<unknown>;
}

const FAULTS: readonly Fault[] = [
  { rule: 'cpu', usage: { ...QUIET, cpuPercent: 99 } },
  { rule: 'memory', usage: { ...QUIET, memoryPercent: 99 } },
  { rule: 'error-rate', usage: { ...QUIET, serverErrorPercent: 30 } },
  { rule: 'restarts', harm: () => restarted(3), heal: () => database.db.deleteFrom('deployment_events').execute() },
  {
    rule: 'crash-loop',
    harm: () => setReplicas({ restart_streak: 4 }),
    heal: () => setReplicas({ restart_streak: 0 }),
  },
  { rule: 'replica-down', harm: () => setReplicas({ state: 'exited' }), heal: () => setReplicas({ state: 'healthy' }) },
  { rule: 'certificate-expiry', harm: () => certificateFor(3), heal: () => certificateFor(89) },
  {
    rule: 'volumes-on-lost-node',
    also: ['node-lost', 'replica-down'],
    harm: async () => {
      await aVolume();
      await setNode({ state: 'lost', reason: 'silent for 10 s' });
    },
    heal: () => setNode({ state: 'ready', reason: '' }),
  },
  {
    rule: 'node-lost',
    also: ['replica-down'],
    harm: () => setNode({ state: 'lost', reason: 'silent for 10 s' }),
    heal: () => setNode({ state: 'ready', reason: '' }),
  },
  { rule: 'node-disk', harm: () => setNode({ disk_level: 'full' }), heal: () => setNode({ disk_level: 'room' }) },
  { rule: 'metrics-unhealthy', harm: () => streamer({ healthy: false }), heal: () => streamer() },
  { rule: 'metrics-breaker-open', harm: () => streamer({ breakerState: 1 }), heal: () => streamer() },
  { rule: 'metrics-spool-age', harm: () => streamer({ spoolAgeSeconds: 400 }), heal: () => streamer() },
  {
    rule: 'metrics-rows-dropped',
    harm: () => streamer({ rowsLost: 7 }),
    heal: async () => {
      await database.db
        .updateTable('streamer_observations')
        .set({ dropped_at: new Date(0) })
        .execute();
      await streamer({ rowsLost: 7 });
    },
  },
  { rule: 'streamer-silent', harm: () => streamer({ reachable: false }), heal: () => streamer() },
];

describe('each built-in alert', () => {
  it.each(FAULTS)(
    '$rule fires once in its fault, and resolves once',
    async ({ rule, also = [], usage, harm, heal }) => {
      await streamer();
      await aTarget(tenant.organizationId, true);
      expect(await evaluate()).toEqual({ fired: 0, resolved: 0 });
      await harm?.();
      for (let round = 0; round < 4; round += 1) {
        await evaluate(usage);
        await pass(20);
        // What was heard of the streamer is heard again.
        await harm?.().catch(() => undefined);
      }
      const rules = [rule, ...also].toSorted();
      const fired = [...new Set((await told()).map((line) => line.split(' ')[0]))].toSorted();
      expect(fired).toEqual(rules);
      expect((await told()).every((line) => line.endsWith(' fired'))).toBe(true);
      await heal?.();
      for (let round = 0; round < 4; round += 1) {
        await evaluate();
        await pass(20);
        await heal?.();
      }
      const states = await database.db.selectFrom('alerts').select(['rule', 'state', 'resolution']).execute();
      expect(states.map((row) => row.rule).toSorted()).toEqual(rules);
      expect(states.every(({ state, resolution }) => state === 'resolved' && resolution === 'cleared')).toBe(true);
      const lines = await told();
      for (const one of rules) {
        const perTarget = lines.filter((line) => line === `${one} fired`).length;
        expect(perTarget).toBeGreaterThan(0);
        expect(lines.filter((line) => line === `${one} resolved`)).toHaveLength(perTarget);
      }
    },
  );
});

describe('an evaluation', () => {
  it('raises nothing in a quiet hour', async () => {
    await streamer();
    for (let round = 0; round < 120; round += 1) {
      expect(await evaluate()).toEqual({ fired: 0, resolved: 0 });
      await pass(0.5);
    }
    expect(await database.db.selectFrom('alerts').select('id').execute()).toEqual([]);
  });

  it('does once what several do at once', async () => {
    await setReplicas({ restart_streak: 9 });
    await Promise.all(Array.from({ length: 8 }, () => evaluate()));
    expect(await told()).toEqual(['crash-loop fired']);
    await setReplicas({ restart_streak: 0 });
    await Promise.all(Array.from({ length: 8 }, () => evaluate()));
    expect(await told()).toEqual(['crash-loop fired', 'crash-loop resolved']);
  });

  it('that is broken off half-way has stored nothing, and the next one tells of it once', async () => {
    await setReplicas({ restart_streak: 9 });
    await sql`CREATE FUNCTION break_off() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$`.execute(database.db);
    await sql`CREATE TRIGGER break_off BEFORE INSERT ON notifications FOR EACH ROW
      EXECUTE FUNCTION break_off()`.execute(database.db);
    await expect(evaluate()).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    await sql`DROP FUNCTION break_off CASCADE`.execute(database.db);
    expect(await database.db.selectFrom('alerts').select('id').execute()).toEqual([]);
    await evaluate();
    expect(await told()).toEqual(['crash-loop fired']);
  });

  it('numbers transitions without gaps in their order', async () => {
    await setReplicas({ restart_streak: 9 });
    const before = await database.db.selectFrom('alert_clock').select('version').executeTakeFirstOrThrow();
    await evaluate();
    await setReplicas({ restart_streak: 0 });
    await evaluate();
    const { version } = await database.db.selectFrom('alerts').select('version').executeTakeFirstOrThrow();
    expect(version).toBe(before.version + 2);
  });

  it('takes a breaker that tries whether Docker is back for one that is open still', async () => {
    await aTarget(tenant.organizationId, true);
    for (const breakerState of [1, 2, 1, 2]) {
      await streamer({ breakerState });
      await evaluate();
      await pass(1.5);
    }
    expect(await told()).toEqual(['metrics-breaker-open fired']);
    await streamer();
    await evaluate();
    expect(await told()).toEqual(['metrics-breaker-open fired', 'metrics-breaker-open resolved']);
  });

  it('goes on firing without data, and says since when', async () => {
    await evaluate({ ...QUIET, cpuPercent: 99 });
    await pass(20);
    await evaluate({ ...QUIET, cpuPercent: 99 });
    await evaluate({});
    const [alert] = await database.db.selectFrom('alerts').selectAll().execute();
    expect(alert).toMatchObject({ rule: 'cpu', state: 'firing', value: 99, no_data_since: expect.any(Date) });
  });

  it('ends the alerts of what does not exist any more', async () => {
    await setReplicas({ restart_streak: 9 });
    await evaluate();
    await database.db.updateTable('deployments').set({ deleting: true }).execute();
    expect(await evaluate()).toEqual({ fired: 0, resolved: 0 });
    expect(await database.db.selectFrom('alerts').select(['state', 'resolution']).execute()).toEqual([
      { state: 'resolved', resolution: 'gone' },
    ]);
    expect(await told()).toEqual(['crash-loop fired', 'crash-loop resolved']);
  });

  it('follows what a member has set for the deployment', async () => {
    const { organizationId, userId } = tenant;
    const set = (values: object) =>
      database.db
        .insertInto('alert_rules')
        .values({
          ...{ deployment_id: deploymentId, organization_id: organizationId, rule: 'cpu', enabled: true },
          ...{ actor_user_id: userId, for_ms: 0, fire_at: 50, ...values },
        })
        .onConflict((conflict) => conflict.columns(['deployment_id', 'rule']).doUpdateSet(values))
        .execute();
    await set({ enabled: true });
    expect(await evaluate({ ...QUIET, cpuPercent: 60 })).toEqual({ fired: 1, resolved: 0 });
    await set({ enabled: false });
    expect(await evaluate({ ...QUIET, cpuPercent: 60 })).toEqual({ fired: 0, resolved: 1 });
    const [alert] = await database.db.selectFrom('alerts').select('resolution').execute();
    expect(alert?.resolution).toBe('off');
  });

  it('tells nobody of what is silenced, and does when the silence ends while it fires', async () => {
    const silence = { id: randomUUID(), organization_id: tenant.organizationId, deployment_id: deploymentId };
    const until = new Date(Date.now() + 3_600_000);
    await database.db
      .insertInto('silences')
      .values({ ...silence, until, reason: 'work on it', actor_user_id: tenant.userId })
      .execute();
    await setReplicas({ restart_streak: 9 });
    expect(await evaluate()).toEqual({ fired: 1, resolved: 0 });
    await evaluate();
    expect(await told()).toEqual([]);
    await database.db.updateTable('silences').set({ until: new Date() }).execute();
    await evaluate();
    await evaluate();
    expect(await told()).toEqual(['crash-loop fired']);
  });

  it('does not tell the end of what was silenced all the time', async () => {
    await database.db
      .insertInto('silences')
      .values({ id: randomUUID(), until: new Date(Date.now() + 3_600_000), reason: '', actor_user_id: tenant.userId })
      .execute();
    await setReplicas({ restart_streak: 9 });
    await evaluate();
    await setReplicas({ restart_streak: 0 });
    expect(await evaluate()).toEqual({ fired: 0, resolved: 1 });
    expect(await told()).toEqual([]);
  });

  it('tells one organization nothing of another one, and of nodes only who was meant', async () => {
    const other = await aTenant(database.db);
    const theirs = await aTarget(other.organizationId);
    const operators = await aTarget(other.organizationId, true);
    await setReplicas({ restart_streak: 9 });
    await setNode({ disk_level: 'full' });
    await evaluate();
    const rows = await database.db.selectFrom('notifications').select('target_id').execute();
    expect(rows.map(({ target_id }) => target_id).toSorted()).toEqual([targetId, operators].toSorted());
    expect(rows.map(({ target_id }) => target_id)).not.toContain(theirs);
  });

  it('finds what a lost node’s volume holds up, also who only reads it', async () => {
    await aVolume();
    const reader = aCreation(tenant, {
      createAs: 'reader',
      spec: aSpec({ volumes: [{ volume: 'data', path: '/data', readOnly: true }] }),
    });
    const store = createDeploymentStore(database.db, { domain: 'example.test', placement });
    await rollOut(store, reader.deploymentId, await store.storeOperation(reader));
    await setNode({ state: 'lost', reason: 'silent for 10 s' });
    await evaluate();
    const held = await database.db
      .selectFrom('alerts')
      .select('deployment_id')
      .where('rule', '=', 'volumes-on-lost-node')
      .execute();
    expect(held.map(({ deployment_id }) => deployment_id).toSorted()).toEqual(
      [deploymentId, reader.deploymentId].toSorted(),
    );
  });

  it('takes no new node that nobody has seen yet for a lost one', async () => {
    await setNode({ state: 'lost', reason: 'enrolled, not seen working yet' });
    await database.db.deleteFrom('deployments').execute();
    expect(await evaluate()).toEqual({ fired: 0, resolved: 0 });
  });
});
