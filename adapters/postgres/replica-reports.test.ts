import { sql } from 'kysely';
import { beforeEach, describe, expect, it } from 'vitest';
import type { StoreActivities } from '../../contracts/activities.ts';
import { aDeployRequest, aSpec } from '../../test/support/builders.ts';
import { aCreation, aReadyNode, aStarted, aTenant, rollOut, withoutNodes } from '../../test/support/control-data.ts';
import { useTestDatabase } from '../../test/support/database.ts';
import { eventually } from '../../test/support/eventually.ts';
import { lockExisting } from './deployment-lock.ts';
import { createDeploymentStore } from './deployment-store.ts';
import { findDeployment } from './deployments.ts';
import { listEvents, recordEvents } from './events.ts';
import { type ObservedReplica, reportReplicas } from './replica-reports.ts';
import { readIngressSnapshot } from './routes.ts';

const database = useTestDatabase();

let store: StoreActivities;
let nodeId: string;
let deploymentId: string;
let creation: ReturnType<typeof aCreation>;

beforeEach(async () => {
  await withoutNodes(database.db);
  const placement = { strategy: 'least-loaded', maxDeploymentsPerNode: 50 } as const;
  store = createDeploymentStore(database.db, { domain: 'example.test', placement });
  nodeId = await aReadyNode(database.db);
  creation = aCreation(await aTenant(database.db), { spec: aSpec({ replicas: 2 }) });
  deploymentId = creation.deploymentId;
  await rollOut(store, deploymentId, await store.storeOperation(creation));
});

function observed(replicaId: string, changes: Partial<ObservedReplica> = {}): ObservedReplica {
  return {
    deploymentId,
    revision: 1,
    replicaId,
    containerId: aStarted(replicaId).containerId,
    state: 'healthy',
    exitCode: null,
    outOfMemory: false,
    healthReason: '',
    restarts: 0,
    restartStreak: 0,
    nextRestartAt: null,
    hostPort: replicaId === 'r1-0' ? 32_768 : 32_769,
    startedAt: new Date('2026-01-01T00:00:00.123Z'),
    ...changes,
  };
}

async function report(...replicas: ObservedReplica[]): Promise<void> {
  await reportReplicas(database.db, { nodeId, replicas, complete: false });
}

async function statesOf(): Promise<(string | undefined)[]> {
  return (await findDeployment(database.db, deploymentId))?.replicas.map((replica) => replica.state) ?? [];
}

async function lastEvents(count: number): Promise<string[]> {
  const events = await listEvents(database.db, { deploymentId, afterSequence: 0, limit: 1000 });
  return events.slice(-count).map((event) => `${event.kind}: ${event.message}`);
}

async function upstreamPorts(): Promise<number[]> {
  const { routes } = await readIngressSnapshot(database.db);
  return routes.flatMap((route) => route.upstreams.map((upstream) => upstream.port));
}

async function generation(): Promise<number> {
  return (await readIngressSnapshot(database.db)).generation;
}

describe('a report of a node', () => {
  it('that a replica is starting is old news once that start was found healthy, and news after another start', async () => {
    const before = await lastEvents(1);
    await report(observed('r1-0', { state: 'starting', startedAt: new Date('2026-01-01T00:00:00.124Z') }));
    expect([await statesOf(), await lastEvents(1)]).toEqual([['healthy', 'healthy'], before]);
    await report(observed('r1-0', { state: 'starting', startedAt: new Date('2026-01-01T00:00:07Z') }));
    expect(await statesOf()).toEqual(['starting', 'healthy']);
  });

  it('that says nothing new changes nothing', async () => {
    const before = await generation();
    const events = await lastEvents(1);
    await report(observed('r1-0'), observed('r1-1'));
    await reportReplicas(database.db, { nodeId, replicas: [observed('r1-0'), observed('r1-1')], complete: true });
    expect([await generation(), await lastEvents(1)]).toEqual([before, events]);
  });

  it('takes an exited replica out of the routes, and back in when it is healthy again', async () => {
    const before = await generation();
    await report(observed('r1-0', { state: 'exited', exitCode: 137, outOfMemory: true, hostPort: null }));
    expect(await statesOf()).toEqual(['exited', 'healthy']);
    expect(await upstreamPorts()).toEqual([32_769]);
    expect(await generation()).toBe(before + 1);
    await report(observed('r1-0', { hostPort: 40_000 }));
    expect(await upstreamPorts()).toEqual([40_000, 32_769]);
    expect(await lastEvents(2)).toEqual([
      'replica.exited: r1-0 exited: it used more memory than its limit (exit code 137)',
      'replica.healthy: r1-0 is healthy again',
    ]);
  });

  it('keeps why a replica is unhealthy for as long as it is', async () => {
    const reasonOf = async () => (await findDeployment(database.db, deploymentId))?.replicas[0]?.healthReason;
    await report(observed('r1-0', { state: 'unhealthy', healthReason: 'GET / answered 500' }));
    expect(await reasonOf()).toBe('GET / answered 500');
    await report(observed('r1-0', { state: 'starting' }));
    expect(await reasonOf()).toBe('GET / answered 500');
    await report(observed('r1-0'));
    expect(await reasonOf()).toBe('');
  });

  it('routes to unhealthy replicas only while no healthy one is left', async () => {
    await report(observed('r1-0', { state: 'unhealthy' }));
    expect(await upstreamPorts()).toEqual([32_769]);
    const healthReason = 'port 8080 refused the connection (ECONNREFUSED)';
    await report(observed('r1-1', { state: 'unhealthy', healthReason }));
    expect(await upstreamPorts()).toEqual([32_768, 32_769]);
    expect(await lastEvents(1)).toEqual([`replica.unhealthy: r1-1 is unhealthy: ${healthReason}`]);
  });

  it('leaves the routes without anybody when every replica has exited', async () => {
    await report(
      observed('r1-0', { state: 'exited', exitCode: 0 }),
      observed('r1-1', { state: 'exited', exitCode: 1 }),
    );
    expect(await upstreamPorts()).toEqual([]);
  });

  it('waits for whoever changes the deployment, so its events come after theirs', async () => {
    let reporting: Promise<void> | undefined;
    await database.db.transaction().execute(async (tx) => {
      const deployment = await lockExisting(tx, deploymentId);
      reporting = report(observed('r1-0', { state: 'exited', exitCode: 1 }));
      await eventually(async () => {
        const { rows } = await sql`SELECT FROM pg_stat_activity
          WHERE datname = current_database() AND wait_event_type = 'Lock'`.execute(database.db);
        expect(rows).toHaveLength(1);
      });
      await recordEvents(tx, deployment, [{ kind: 'operation.started', message: 'first' }]);
    });
    await reporting;
    expect(await lastEvents(2)).toEqual(['operation.started: first', 'replica.exited: r1-0 exited: exit code 1']);
  });

  it('that is complete asks for what it left out, and takes nothing of it for gone', async () => {
    const left = { nodeId, replicas: [observed('r1-1')], complete: true };
    expect(await reportReplicas(database.db, left)).toMatchObject([{ deploymentId, revision: 1, replicaId: 'r1-0' }]);
    expect(await statesOf()).toEqual(['healthy', 'healthy']);
    expect(await reportReplicas(database.db, { ...left, complete: false })).toEqual([]);
    expect(await reportReplicas(database.db, { ...left, replicas: [] })).toHaveLength(2);
    expect(await statesOf()).toEqual(['healthy', 'healthy']);
  });

  it('tells of containers that are gone', async () => {
    await report(observed('r1-0', { state: 'removed' }));
    expect(await statesOf()).toEqual(['exited', 'healthy']);
    expect(await lastEvents(1)).toEqual([`replica.exited: container of r1-0 is gone from ${nodeId}`]);
    await report(observed('r1-1', { state: 'removed' }));
    expect(await statesOf()).toEqual(['exited', 'exited']);
  });

  it('tells of a container that somebody has removed after it was killed for that', async () => {
    await report(observed('r1-0', { state: 'exited', exitCode: 137, nextRestartAt: new Date() }));
    await report(observed('r1-0', { state: 'removed', exitCode: 137 }));
    const gone = { state: 'exited', gone: true, exitCode: 137, nextRestartAt: null };
    expect((await findDeployment(database.db, deploymentId))?.replicas[0]).toMatchObject(gone);
    const told = [
      'replica.exited: r1-0 exited: exit code 137',
      `replica.exited: container of r1-0 is gone from ${nodeId}`,
    ];
    expect(await lastEvents(2)).toEqual(told);
    await report(observed('r1-0', { state: 'removed', exitCode: 137 }));
    expect(await lastEvents(2)).toEqual(told);
  });

  it('does not speak for another node', async () => {
    const other = await aReadyNode(database.db);
    const replicas = [observed('r1-0', { state: 'exited' })];
    await reportReplicas(database.db, { nodeId: other, replicas, complete: true });
    expect(await statesOf()).toEqual(['healthy', 'healthy']);
  });

  it('of a container that is not the recorded one, or of an unknown replica, is ignored', async () => {
    await report(
      observed('r1-0', { containerId: 'f'.repeat(64), state: 'exited' }),
      observed('r9-0', { revision: 9, state: 'exited' }),
    );
    expect(await statesOf()).toEqual(['healthy', 'healthy']);
  });

  it('of a container that claims to be a replica does not hide what the replica’s own container is', async () => {
    const forged = observed('r1-0', { containerId: 'f'.repeat(64), hostPort: 1 });
    await report(forged, observed('r1-0', { state: 'exited', exitCode: 1 }), forged);
    expect(await statesOf()).toEqual(['exited', 'healthy']);
    expect(await upstreamPorts()).toEqual([32_769]);
  });

  it('leaves replicas alone that a rollout drains or has yet to start', async () => {
    const request = aDeployRequest({ createAs: null });
    const { operationId } = await store.storeOperation({ ...creation, request });
    const ref = { deploymentId, operationId };
    await store.beginRollout(ref);
    await reportReplicas(database.db, { nodeId, replicas: [observed('r1-0'), observed('r1-1')], complete: true });
    expect(await statesOf()).toEqual(['healthy', 'healthy', 'starting']);
    const change = { serve: [aStarted('r2-0')], resume: [], drain: ['r1-0', 'r1-1'], weight: null };
    await store.switchRoutes({ ...ref, ...change });
    await report(observed('r1-0', { state: 'exited', exitCode: 143 }), observed('r1-1', { state: 'removed' }));
    expect(await statesOf()).toEqual(['removing', 'removing', 'healthy']);
  });

  it('and rollouts at the same time neither deadlock nor lose events', async () => {
    const flip = async (index: number): Promise<void> => {
      await report(observed('r1-0', { state: index % 2 === 0 ? 'exited' : 'healthy', exitCode: 1 }));
      await report(observed('r1-1', { state: index % 2 === 0 ? 'healthy' : 'exited', exitCode: 1 }));
    };
    const deploys = Array.from({ length: 10 }, async () => {
      const request = aDeployRequest({ createAs: null });
      const { operationId } = await store.storeOperation({ ...creation, request });
      const failure = { code: 'INTERNAL', message: 'it went wrong', hint: '' };
      await store.failOperation({ deploymentId, operationId, failure });
    });
    await Promise.all([...Array.from({ length: 20 }, (_, index) => flip(index)), ...deploys]);
    const events = await listEvents(database.db, { deploymentId, afterSequence: 0, limit: 1000 });
    const sequences = events.map((event) => event.sequence);
    expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
    expect(events.filter((event) => event.kind === 'operation.failed')).toHaveLength(10);
  });
});

describe('a crash loop', () => {
  const nextRestartAt = new Date('2026-01-01T00:01:00.500Z');

  /** One round of it: the n-th exit in a row, and the restart after it. */
  async function crash(round: number): Promise<void> {
    const exit = { exitCode: 3, restarts: round - 1, restartStreak: round - 1 };
    await report(observed('r1-0', { ...exit, state: 'exited', hostPort: null, nextRestartAt }));
    const again = { ...exit, restarts: round, restartStreak: round };
    await report(observed('r1-0', { ...again, state: 'starting' }));
    await report(observed('r1-0', again));
  }

  it('is read as it stands: with its code, how often, and when it is tried again', async () => {
    await crash(1);
    const exit = { state: 'exited', exitCode: 3, outOfMemory: true, restarts: 1, nextRestartAt } as const;
    await report(observed('r1-0', { ...exit, restartStreak: 1 }));
    const [replica] = (await findDeployment(database.db, deploymentId))?.replicas ?? [];
    expect(replica).toMatchObject({ ...exit, gone: false });
    await report(observed('r1-0', { restarts: 2, restartStreak: 2, exitCode: 3, outOfMemory: true }));
    const [again] = (await findDeployment(database.db, deploymentId))?.replicas ?? [];
    expect(again).toMatchObject({ ...exit, state: 'healthy', restarts: 2, nextRestartAt: null });
  });

  it('does not fill the history, however long it goes on', async () => {
    for (let round = 1; round <= 40; round += 1) await crash(round);
    const events = await listEvents(database.db, { deploymentId, afterSequence: 0, limit: 1000 });
    const messages = events.filter((event) => event.replicaId === 'r1-0').map((event) => event.message);
    expect(messages.filter((message) => message.includes('exited'))).toEqual([
      'r1-0 exited: exit code 3',
      'r1-0 exited: exit code 3, after 1 restart in a row',
      ...[3, 7, 15, 31].map((times) => `r1-0 exited: exit code 3, after ${times} restarts in a row`),
    ]);
    expect(messages.filter((message) => message.includes('restarted'))).toEqual([
      'r1-0 was restarted after exit code 3',
      ...[2, 4, 8, 16, 32].map((times) => `r1-0 was restarted after exit code 3, ${times} times in a row`),
    ]);
    expect(messages).toHaveLength(3 * 6 + 1);
  });

  it('is told again from its first round on after it has run for long', async () => {
    await crash(1);
    await crash(2);
    await crash(3);
    await report(observed('r1-0', { exitCode: 3, restarts: 3, restartStreak: 0 }));
    await report(observed('r1-0', { state: 'exited', exitCode: 4, restarts: 3 }));
    expect(await lastEvents(2)).toEqual([
      'replica.healthy: r1-0 runs steadily again',
      'replica.exited: r1-0 exited: exit code 4',
    ]);
  });

  it('whose rounds are not seen one by one tells of them together', async () => {
    await report(observed('r1-0', { exitCode: 9, restarts: 3, restartStreak: 3 }));
    expect(await lastEvents(1)).toEqual(['replica.restarted: r1-0 was restarted after exit code 9, 3 times in a row']);
    await report(observed('r1-0', { state: 'exited', exitCode: 9, restarts: 5, restartStreak: 5 }));
    expect(await lastEvents(2)).toEqual([
      'replica.restarted: r1-0 was restarted after exit code 9, 5 times in a row',
      'replica.exited: r1-0 exited: exit code 9, after 5 restarts in a row',
    ]);
  });
});

it('a switch that is undone does not call a replica healthy whose container has gone meanwhile', async () => {
  const request = aDeployRequest({ createAs: null });
  const { operationId } = await store.storeOperation({ ...creation, request });
  const ref = { deploymentId, operationId };
  await store.beginRollout(ref);
  await report(observed('r1-0', { state: 'removed' }));
  const old = ['r1-0', 'r1-1'];
  await store.switchRoutes({ ...ref, serve: [aStarted('r2-0')], resume: [], drain: old, weight: null });
  await store.switchRoutes({ ...ref, serve: [], resume: old, drain: ['r2-0'], weight: null });
  expect((await statesOf()).slice(0, 2)).toEqual(['exited', 'healthy']);
});
