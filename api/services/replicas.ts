import type { ServiceImpl } from '@connectrpc/connect';
import type { ChangeFeed } from '../../adapters/postgres/changes.ts';
import type { Database } from '../../adapters/postgres/database.ts';
import { type LocatedReplica, listLocatedReplicas } from '../../adapters/postgres/located-replicas.ts';
import type { ReplicasService } from '../../gen/obiente/cloud/v1/replicas_pb.ts';
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
    watchReplicas(request, context) {
      const filter = fromWireFilter(request, getCaller(context).organizationId);
      return watchReplicas({ ...deps, signal: context.signal }, filter);
    },
  };
}
