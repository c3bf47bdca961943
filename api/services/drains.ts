import { randomUUID } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import type { ChangeFeed } from '../../adapters/postgres/changes.ts';
import type { Database } from '../../adapters/postgres/database.ts';
import { type DrainRecord, findDrain, listOnNode, type OnNode } from '../../adapters/postgres/drains.ts';
import type { WorkflowGateway } from '../../adapters/temporal/workflow-gateway.ts';
import { notFound } from '../../domain/errors.ts';
import { type DrainSchema, DrainState, type NodesService } from '../../gen/obiente/cloud/v1/nodes_pb.ts';
import { getCaller } from '../auth/caller.ts';
import { watchRecord } from '../watch-record.ts';

/** What the drains of nodes need. */
export interface DrainDeps {
  readonly db: Database;
  readonly changes: ChangeFeed;
  readonly workflows: Pick<WorkflowGateway, 'drainNode' | 'stopDrain'>;
  /** Silence after which a stream sends a heartbeat, milliseconds. */
  readonly heartbeatMs: number;
}

/** Deployments moved at a time, where nobody says how many: a node starts about twice its cores at once. */
const AT_ONCE = 2;

/** Deployments that are named of those that are left. */
const MOST_NAMED = 200;

/** Creates the part of the service of nodes that empties them. */
export function createDrains(deps: DrainDeps): Pick<ServiceImpl<typeof NodesService>, 'drainNode' | 'watchDrain'> {
  return {
    async drainNode({ nodeId, reason, atOnce, withVolumes }, context) {
      const { userId: actorUserId } = getCaller(context);
      const drainId = randomUUID();
      const along = withVolumes ? { withVolumes } : {};
      await deps.workflows.drainNode({ nodeId, drainId, actorUserId, reason, atOnce: atOnce || AT_ONCE, ...along });
      return { drain: await describe(deps.db, nodeId) };
    },
    async *watchDrain({ nodeId }, { signal }) {
      const read = () => describe(deps.db, nodeId);
      const isFinal = ({ state }: WireDrain): boolean => state !== DrainState.RUNNING;
      for await (const drain of watchRecord({ ...deps, filter: { drainOf: nodeId }, signal, read, isFinal })) {
        yield drain ? { drain } : {};
      }
    },
  };
}

const STATE: Record<DrainRecord['state'], DrainState> = {
  running: DrainState.RUNNING,
  done: DrainState.DONE,
  stopped: DrainState.STOPPED,
};

type WireDrain = MessageInitShape<typeof DrainSchema> & { readonly state: DrainState };

async function describe(db: Database, nodeId: string): Promise<WireDrain> {
  const [drain, left] = await Promise.all([findDrain(db, nodeId), listOnNode(db, { nodeId, limit: MOST_NAMED })]);
  if (!drain) throw notFound('drain');
  const { id, state, moved, actorUserId, reason, withVolumes, createdAt, finishedAt } = drain;
  return {
    ...{ id, nodeId, moved, actorUserId, reason, withVolumes, state: STATE[state] },
    left: left.map((one) => ({ ...one, why: whyLeft(one, drain) })),
    createdAt: timestampFromDate(createdAt),
    ...(finishedAt ? { finishedAt: timestampFromDate(finishedAt) } : {}),
  };
}

function whyLeft({ isBound, failure }: OnNode, { state, withVolumes }: DrainRecord): string {
  if (isBound && !withVolumes) return 'its volumes are there';
  return failure === '' && state === 'done' ? 'no other node takes replicas' : failure;
}
