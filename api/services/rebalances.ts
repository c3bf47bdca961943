import { randomUUID } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import type { ChangeFeed } from '../../adapters/postgres/changes.ts';
import type { Database } from '../../adapters/postgres/database.ts';
import { readRebalancePlan } from '../../adapters/postgres/placement/plan-rebalance.ts';
import { findRebalance, type RebalanceRecord } from '../../adapters/postgres/rebalances.ts';
import type { WorkflowGateway } from '../../adapters/temporal/workflow-gateway.ts';
import { notFound } from '../../domain/errors.ts';
import type { PlacementRules } from '../../domain/placement/placement.ts';
import { REBALANCE_LIMITS } from '../../domain/placement/rebalance.ts';
import {
  type PlacementService,
  type RebalanceSchema,
  RebalanceState,
} from '../../gen/obiente/cloud/v1/placement_pb.ts';
import { getCaller } from '../auth/caller.ts';
import { watchRecord } from '../watch-record.ts';
import { toWirePlan } from '../wire/rebalance-plan.ts';

/** What rebalances need. */
export interface RebalanceDeps {
  readonly db: Database;
  /** Those of the orchestrators. */
  readonly placement: PlacementRules;
  readonly changes: ChangeFeed;
  readonly workflows: Pick<WorkflowGateway, 'rebalance' | 'stopRebalance'>;
  /** Silence after which a stream sends a heartbeat, milliseconds. */
  readonly heartbeatMs: number;
}

type Rebalances = Pick<
  ServiceImpl<typeof PlacementService>,
  'planRebalance' | 'applyRebalance' | 'stopRebalance' | 'watchRebalance'
>;

/** Creates the part of the service of placement that fills the nodes more evenly. */
export function createRebalances(deps: RebalanceDeps): Rebalances {
  const { db, placement, workflows } = deps;
  const plan = (maxMoves: number) => readRebalancePlan(db, { moves: maxMoves || REBALANCE_LIMITS.moves }, placement);
  return {
    async planRebalance({ maxMoves }) {
      return toWirePlan(await plan(maxMoves));
    },
    async applyRebalance({ maxMoves }, context) {
      const wanted = await plan(maxMoves);
      if (wanted.moves.length === 0) return { plan: toWirePlan(wanted) };
      const moves = wanted.moves.map(({ deploymentId, from, to, replicas, isWhole }) => {
        return { deploymentId, move: { from, to, replicas: isWhole ? null : replicas } };
      });
      const { userId: actorUserId } = getCaller(context);
      await workflows.rebalance({ rebalanceId: randomUUID(), actorUserId, moves });
      return { plan: toWirePlan(wanted), rebalance: await newest(db) };
    },
    async stopRebalance() {
      await workflows.stopRebalance();
      return { rebalance: await newest(db) };
    },
    async *watchRebalance(_, { signal }) {
      const isFinal = ({ state }: WireRebalance): boolean => state !== RebalanceState.RUNNING;
      const watched = { ...deps, filter: { rebalances: true }, signal, read: () => newest(db), isFinal } as const;
      for await (const rebalance of watchRecord(watched)) yield rebalance ? { rebalance } : {};
    },
  };
}

const STATE: Record<RebalanceRecord['state'], RebalanceState> = {
  running: RebalanceState.RUNNING,
  done: RebalanceState.DONE,
  stopped: RebalanceState.STOPPED,
};

type WireRebalance = MessageInitShape<typeof RebalanceSchema> & { readonly state: RebalanceState };

async function newest(db: Database): Promise<WireRebalance> {
  const found = await findRebalance(db);
  if (!found) throw notFound('rebalance');
  const { id, state, actorUserId, planned, ended, moved, createdAt, finishedAt } = found;
  return {
    ...{ id, actorUserId, planned, ended, moved, state: STATE[state] },
    createdAt: timestampFromDate(createdAt),
    ...(finishedAt ? { finishedAt: timestampFromDate(finishedAt) } : {}),
  };
}
