import type { ReconcileNodesPage, ReconcileStore, RecordedOnNode } from '../../contracts/reconcile.ts';
import { replicaId } from '../../domain/naming.ts';
import type { Finding } from '../../domain/reconcile.ts';
import type { Database } from './database.ts';
import { toStorableText } from './events.ts';
import { isOneOf, isOneOfTexts } from './page.ts';
import { reportReplicas } from './replica-reports.ts';
import { IS_ASKED_ALREADY, listShort } from './short-deployments.ts';

/** Nodes that are asked at the same time. */
const NODES_PAGE = 100;

/** Replicas of a node that one pass compares, and strangers that it keeps: what a workflow's history takes. */
const MOST_COMPARED = 5_000;
const MOST_STRANGERS = 1_000;

/** Creates what the reconcile workflow reads and writes by. */
export function createReconcileStore(db: Database): ReconcileStore {
  return {
    listReconcileNodes: ({ afterId }) => listNodes(db, afterId),
    readRecorded: ({ nodeId }) => readRecorded(db, nodeId),
    recordFindings: async ({ nodeId, findings }) => {
      await recordStrangers(db, nodeId, findings);
      const gone = findings.filter((finding) => finding.kind === 'gone');
      await recordGone(db, nodeId, gone);
      return await listToHeal(db, nodeId, gone);
    },
    listShort: () => listShort(db),
  };
}

async function listNodes(db: Database, afterId: string): Promise<ReconcileNodesPage> {
  const rows = await db
    .selectFrom('nodes')
    .select('id')
    .where('state', 'not in', ['lost', 'degraded'])
    .where('id', '>', afterId)
    .orderBy('id')
    .limit(NODES_PAGE)
    .execute();
  return { nodeIds: rows.map(({ id }) => id), next: rows.length < NODES_PAGE ? null : (rows.at(-1)?.id ?? null) };
}

async function readRecorded(db: Database, nodeId: string): Promise<RecordedOnNode> {
  const [recorded, doomed, reported] = await Promise.all([
    db
      .selectFrom('replicas')
      .select(['deployment_id as deploymentId', 'replica_id as replicaId', 'container_id as containerId', 'serving'])
      .where('node_id', '=', nodeId)
      .orderBy('deployment_id')
      .orderBy('replica_id')
      .limit(MOST_COMPARED)
      .execute(),
    db
      .selectFrom('doomed_replicas')
      .select(['deployment_id as deploymentId', 'revision', 'index'])
      .where('node_id', '=', nodeId)
      .orderBy('deployment_id')
      .orderBy('revision')
      .orderBy('index')
      .limit(MOST_COMPARED)
      .execute(),
    db
      .selectFrom('strangers')
      .select('container_id as containerId')
      .where('node_id', '=', nodeId)
      .orderBy('container_id')
      .limit(MOST_STRANGERS)
      .execute(),
  ]);
  return {
    recorded,
    doomed: doomed.map(({ deploymentId, revision, index }) => ({
      deploymentId,
      replicaId: replicaId(revision, index),
    })),
    reported: reported.map(({ containerId }) => containerId),
  };
}

async function recordStrangers(db: Database, nodeId: string, findings: readonly Finding[]): Promise<void> {
  const cleared = findings.flatMap((finding) => (finding.kind === 'cleared' ? [finding.containerId] : []));
  if (cleared.length > 0) {
    await db
      .deleteFrom('strangers')
      .where('node_id', '=', nodeId)
      .where(isOneOfTexts('container_id', cleared))
      .execute();
  }
  const rows = findings.flatMap((finding) =>
    finding.kind === 'orphan' || finding.kind === 'forged'
      ? [
          {
            node_id: nodeId,
            container_id: finding.containerId,
            kind: finding.kind,
            name: toStorableText(finding.name, 256),
            reason: toStorableText(finding.reason, 500),
          },
        ]
      : [],
  );
  if (rows.length === 0) return;
  await db
    .insertInto('strangers')
    .values(rows)
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

type Gone = Extract<Finding, { kind: 'gone' }>;

/** The node says so itself in most cases, and then nothing changes. */
async function recordGone(db: Database, nodeId: string, gone: readonly Gone[]): Promise<void> {
  if (gone.length === 0) return;
  const rows = await db
    .selectFrom('replicas')
    .select(['deployment_id as deploymentId', 'replica_id as replicaId', 'revision', 'container_id as containerId'])
    .where('node_id', '=', nodeId)
    .where('serving', '=', true)
    .where(
      isOneOfTexts(
        'container_id',
        gone.map(({ containerId }) => containerId),
      ),
    )
    .execute();
  const unknown = { exitCode: null, outOfMemory: false, hostPort: null, startedAt: null };
  const replicas = rows.map(({ containerId, ...row }) => ({
    ...{ ...row, ...unknown, containerId: containerId ?? '', state: 'removed' as const },
    ...{ restarts: 0, restartStreak: 0, nextRestartAt: null, healthReason: '' },
  }));
  await reportReplicas(db, { nodeId, replicas, complete: false });
}

/** Those of which a serving replica is recorded as gone, and which nobody stops, deletes or heals already. */
async function listToHeal(db: Database, nodeId: string, gone: readonly Gone[]): Promise<string[]> {
  if (gone.length === 0) return [];
  const rows = await db
    .selectFrom('deployments')
    .select('deployments.id')
    .where(isOneOf('deployments.id', [...new Set(gone.map(({ deploymentId }) => deploymentId))]))
    .where('deployments.deleting', '=', false)
    .where('deployments.stopped', '=', false)
    .where((eb) =>
      eb.exists(
        eb
          .selectFrom('replicas')
          .select('replicas.replica_id')
          .whereRef('replicas.deployment_id', '=', 'deployments.id')
          .where('replicas.node_id', '=', nodeId)
          .where('replicas.serving', '=', true)
          .where('replicas.gone', '=', true),
      ),
    )
    .where((eb) => eb.not(IS_ASKED_ALREADY))
    .orderBy('deployments.id')
    .execute();
  return rows.map(({ id }) => id);
}
