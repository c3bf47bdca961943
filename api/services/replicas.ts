import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import type { ChangeFeed } from '../../adapters/postgres/changes.ts';
import type { Database } from '../../adapters/postgres/database.ts';
import { type LocatedReplica, listLocatedReplicas } from '../../adapters/postgres/located-replicas.ts';
import { listStrangers, type StrangerRecord } from '../../adapters/postgres/strangers.ts';
import { type ReplicasService, StrangerKind, type StrangerSchema } from '../../gen/obiente/cloud/v1/replicas_pb.ts';
import { getCaller } from '../auth/caller.ts';
import { hashRequest } from '../request-identity.ts';
import { watchReplicas } from '../watch-replicas.ts';
import { fromWireFilter, toWireLocated } from '../wire/located-replica.ts';
import { readPage } from '../wire/page.ts';

/** What the service needs. */
export interface ReplicasDeps {
  readonly db: Database;
  readonly changes: ChangeFeed;
  /** Silence after which a stream sends a heartbeat, milliseconds. */
  readonly heartbeatMs: number;
}

/**
 * Creates the service that tells where replicas are.
 *
 * Whose replicas is decided by the authorisation: those of the caller's organization, of all of them only for an
 * operator who names none. Docker's ids are told in full, as with a deployment: they open nothing, since no tenant
 * reaches a daemon, and a replica is told to be gone by its full id only.
 */
export function createReplicasService(deps: ReplicasDeps): ServiceImpl<typeof ReplicasService> {
  return {
    async listReplicas(request, context) {
      const filter = fromWireFilter(request, getCaller(context).organizationId);
      const { rows, page } = await readPage(request.page, {
        // Hashed, since a hostname and a node's id would make a token longer than the contract lets it be.
        identity: { list: 'replicas', filters: [hashRequest(filter)] },
        forms: ['uuid', 'name'],
        keyOf: (replica: LocatedReplica) => [replica.deploymentId, replica.replicaId],
        read: ({ limit, after }) => {
          const [deploymentId, replicaId] = after ?? [];
          const isFirst = deploymentId === undefined || replicaId === undefined;
          return listLocatedReplicas(deps.db, filter, {
            limit,
            after: isFirst ? undefined : { deploymentId, replicaId },
          });
        },
      });
      return { replicas: rows.map(toWireLocated), page };
    },
    async listStrangers({ nodeId, page: asked }) {
      const { rows, page } = await readPage(asked, {
        identity: { list: 'strangers', filters: [nodeId] },
        forms: ['name', 'name'],
        keyOf: (stranger: StrangerRecord) => [stranger.nodeId, stranger.containerId],
        read: ({ limit, after: [node, containerId] = [] }) => {
          const after = node === undefined || containerId === undefined ? undefined : { nodeId: node, containerId };
          return listStrangers(deps.db, { limit, nodeId: nodeId || undefined, after });
        },
      });
      return { strangers: rows.map(toWireStranger), page };
    },
    watchReplicas(request, context) {
      const filter = fromWireFilter(request, getCaller(context).organizationId);
      return watchReplicas({ ...deps, signal: context.signal }, filter);
    },
  };
}

const STRANGER_KIND: Record<StrangerRecord['kind'], StrangerKind> = {
  orphan: StrangerKind.ORPHAN,
  forged: StrangerKind.FORGED,
};

function toWireStranger({ kind, foundAt, ...stranger }: StrangerRecord): MessageInitShape<typeof StrangerSchema> {
  return { ...stranger, kind: STRANGER_KIND[kind], foundAt: timestampFromDate(foundAt) };
}
