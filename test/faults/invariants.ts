import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'kysely';
import { DEPLOYMENT_WORKFLOW } from '../../contracts/deployment.ts';
import { LABEL } from '../../domain/naming.ts';
import { filesThatHold } from '../support/files-that-hold.ts';
import { untilNone } from '../support/until-none.ts';
import type { Lane } from './lane.ts';
import type { FetchedHistory, Replays } from './replays.ts';

/**
 * What must hold of a lane once its subjects have been removed. Each break in words; empty when all holds.
 *
 * @param replays for everything; without it what takes longer is left out: I11 and I14
 */
export async function checkInvariants(lane: Lane, replays?: Replays): Promise<string[]> {
  const found = await Promise.all([
    lane.containers.takeBreaks(),
    untilNone(() => openWork(lane)),
    untilNone(() => orphans(lane)),
    repeatedEffects(lane),
    ...(replays ? [secretsInTheClear(lane), unreplayable(lane, replays)] : []),
  ]);
  return found.flat();
}

/** I4: every accepted operation ends, and nothing runs for a deployment that is gone. */
async function openWork({ platform: { db, temporal } }: Lane): Promise<string[]> {
  const operations = await db
    .selectFrom('operations')
    .select(['id', 'kind', 'state'])
    .where('state', 'in', ['queued', 'running', 'waiting'])
    .execute();
  const workflows: string[] = [];
  const query = `WorkflowType = '${DEPLOYMENT_WORKFLOW}' AND ExecutionStatus = 'Running'`;
  for await (const { workflowId } of temporal.workflow.list({ query })) workflows.push(workflowId);
  return [
    ...operations.map(({ id, kind, state }) => `I4: ${kind} ${id} is still ${state}`),
    ...workflows.map((id) => `I4: workflow ${id} is still open`),
  ];
}

/** I5: no container, network, image, row or route without an owner. */
async function orphans({ platform, docker }: Lane): Promise<string[]> {
  const { db, instance, apiUrl, stateDir } = platform;
  const filters = { label: [`${LABEL.instance}=${instance}`] };
  const [containers, networks, images, replicas, routes] = await Promise.all([
    docker.listContainers({ all: true, filters }),
    docker.listNetworks({ filters }),
    docker.listImages({ filters }),
    db.selectFrom('replicas').select(['deployment_id', 'replica_id']).execute(),
    db.selectFrom('routes').select('hostname').execute(),
  ]);
  const token = (await readFile(join(stateDir, 'keys', 'traefik.token'), 'utf8')).trim();
  const served = await fetch(`${apiUrl}/traefik/config`, {
    headers: { authorization: `Bearer ${token}`, connection: 'close' },
  });
  const { http } = (await served.json()) as { http: { services?: Record<string, unknown> } };
  return [
    ...containers.map(({ Names, State }) => `I5: container ${Names[0]} is left, ${State}`),
    ...networks.map(({ Name }) => `I5: network ${Name} is left`),
    ...images.map(({ RepoTags }) => `I5: image ${RepoTags?.[0]} is left`),
    ...replicas.map((row) => `I5: row of replica ${row.deployment_id} ${row.replica_id} is left`),
    ...routes.map(({ hostname }) => `I5: route ${hostname} is left`),
    ...Object.keys(http.services ?? {}).map((id) => `I5: the ingress still has a service for ${id}`),
  ];
}

/** I9: one key is one operation, which is stored, begun and ended once, and makes one revision. */
async function repeatedEffects({ platform: { db } }: Lane): Promise<string[]> {
  const twice = await db
    .selectFrom('deployment_events')
    .select(['operation_id', 'kind', sql<number>`count(*)::int`.as('times')])
    .where('kind', 'like', 'operation.%')
    .groupBy(['operation_id', 'kind'])
    .having(sql<number>`count(*)`, '>', 1)
    .execute();
  const revisions = await db
    .selectFrom('operations')
    .select(['deployment_id', 'revision', sql<number>`count(*)::int`.as('times')])
    .where('revision', '>', 0)
    .groupBy(['deployment_id', 'revision'])
    .having(sql<number>`count(*)`, '>', 1)
    .execute();
  return [
    ...twice.map(({ operation_id, kind, times }) => `I9: ${kind} of ${operation_id} happened ${times} times`),
    ...revisions.map((row) => `I9: revision ${row.revision} of ${row.deployment_id} was made ${row.times} times`),
  ];
}

/** I11: the value of a variable is in no file of the platform: databases and their logs, histories, logs, snapshots. */
async function secretsInTheClear({ platform, canary, nodeId }: Lane): Promise<string[]> {
  const { stateDir } = platform;
  const holding = await filesThatHold(stateDir, canary);
  const seen = await filesThatHold(join(stateDir, 'postgres'), nodeId);
  return [
    ...holding.map((file) => `I11: ${file} holds the value of a variable`),
    ...(seen.length === 0 ? ['I11: the search finds nothing at all, not even what must be there'] : []),
  ];
}

/** I14: today's workflows continue every history that the faults have left. Those of closed workflows are tried once. */
async function unreplayable(
  { platform: { temporal, payloadKey }, replayed }: Lane,
  replays: Replays,
): Promise<string[]> {
  const histories: FetchedHistory[] = [];
  for await (const { workflowId, runId, status } of temporal.workflow.list()) {
    if (replayed.has(runId)) continue;
    if (status.name !== 'RUNNING') replayed.add(runId);
    histories.push({ workflowId, history: await temporal.workflow.getHandle(workflowId, runId).fetchHistory() });
  }
  return (await replays.replay(payloadKey, histories)).map((broken) => `I14: ${broken}`);
}
