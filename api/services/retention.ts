import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import type { ChangeFeed } from '../../adapters/postgres/changes.ts';
import type { Database } from '../../adapters/postgres/database.ts';
import { claimMutation } from '../../adapters/postgres/mutation-keys.ts';
import { findNode } from '../../adapters/postgres/nodes.ts';
import { listOrphans } from '../../adapters/postgres/retention/orphan-records.ts';
import { findRun, listItems, listRuns, type RetentionRunRecord } from '../../adapters/postgres/retention/runs.ts';
import type { RetentionGateway } from '../../adapters/temporal/retention-gateway.ts';
import type { RetentionItem } from '../../contracts/retention.ts';
import { notFound } from '../../domain/errors.ts';
import {
  type RetentionItemSchema,
  type RetentionRunSchema,
  type RetentionService,
  RetentionState,
} from '../../gen/obiente/cloud/v1/retention_pb.ts';
import { getCaller } from '../auth/caller.ts';
import { deriveId, hashRequest } from '../request-identity.ts';

/** Lines of a report that one answer holds: those of a thousand nodes. */
const MAX_ITEMS = 5_000;

const STATE: Record<RetentionRunRecord['state'], RetentionState> = {
  running: RetentionState.RUNNING,
  succeeded: RetentionState.SUCCEEDED,
  failed: RetentionState.FAILED,
};

/** What the service of retention needs. */
export interface RetentionDeps {
  readonly db: Database;
  readonly changes: ChangeFeed;
  readonly retention: RetentionGateway;
}

/** Creates the service of retention, for operators of the platform. */
export function createRetentionService(deps: RetentionDeps): ServiceImpl<typeof RetentionService> {
  const { db } = deps;
  return {
    async runRetention({ idempotencyKey, dryRun, nodeId }, context) {
      const { userId } = getCaller(context);
      const runId = deriveId(userId, idempotencyKey, 'retention');
      const requestHash = hashRequest('RunRetention', dryRun, ...(nodeId === '' ? [] : [nodeId]));
      if (nodeId !== '' && !(await findNode(db, nodeId))) throw notFound('node');
      await db
        .transaction()
        .execute((tx) => claimMutation(tx, { scope: userId, resourceId: runId, idempotencyKey, requestHash }));
      const repeated = await findRun(db, runId);
      if (repeated) return { run: toWire(repeated), attended: false };
      const only = nodeId === '' ? {} : { onlyNodeId: nodeId };
      const started = await deps.retention.runRetention({ runId, isDryRun: dryRun, actorUserId: userId, ...only });
      const run = await findRun(db, started.runId);
      if (!run) throw notFound('run');
      return { run: toWire(run), attended: run.id !== runId };
    },
    async getRetentionRun({ runId, waitSeconds }, context) {
      const run = await untilFinished(deps, { runId: runId.toLowerCase(), waitMs: waitSeconds * 1_000, context });
      if (!run) throw notFound('run');
      const items = await listItems(db, run.id, MAX_ITEMS);
      return { run: toWire(run), items: items.map(toWireItem), orphans: await listOrphans(db, run.id) };
    },
    async listRetentionRuns() {
      return { runs: (await listRuns(db)).map(toWire) };
    },
  };
}

/** Reads a run again whenever it is said to have changed, until it has ended or the wait has. */
async function untilFinished(
  { db, changes }: RetentionDeps,
  { runId, waitMs, context }: { runId: string; waitMs: number; context: HandlerContext },
): Promise<RetentionRunRecord | undefined> {
  const over = AbortSignal.any([AbortSignal.timeout(waitMs), context.signal]);
  let changed = Promise.withResolvers<void>();
  const unsubscribe = changes.subscribe({ retentionRunId: runId }, () => changed.resolve());
  over.addEventListener('abort', () => changed.resolve(), { once: true });
  try {
    for (;;) {
      const run = await findRun(db, runId);
      if (run?.state !== 'running' || over.aborted) return run;
      await changed.promise;
      changed = Promise.withResolvers();
    }
  } finally {
    unsubscribe();
  }
}

function toWire(run: RetentionRunRecord): MessageInitShape<typeof RetentionRunSchema> {
  const { id, isDryRun: dryRun, nodeId, errorMessage, startedAt, finishedAt } = run;
  return {
    ...{ id, dryRun, nodeId, errorMessage, state: STATE[run.state], actorUserId: run.actorUserId ?? '' },
    startedAt: timestampFromDate(startedAt),
    ...(finishedAt ? { finishedAt: timestampFromDate(finishedAt) } : {}),
  };
}

function toWireItem({
  kind,
  nodeId,
  reason,
  count,
  bytes,
}: RetentionItem): MessageInitShape<typeof RetentionItemSchema> {
  return { kind, nodeId, reason, count: BigInt(count), ...(bytes === null ? {} : { bytes: BigInt(bytes) }) };
}
