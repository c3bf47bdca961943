import { createHash } from 'node:crypto';
import type { LocatedReplica } from '../adapters/postgres/located-replicas.ts';

/** A replica by its ids. */
export interface ReplicaIds {
  readonly deploymentId: string;
  readonly replicaId: string;
}

/** One way through what matches now. */
export interface Reading {
  /** Whether the reader does not know the replica like this yet. From now on it does. */
  isNews(replica: LocatedReplica): boolean;
  /** What the reader knows of and this reading has not seen. From now on it does not know it. */
  takeMissing(): readonly ReplicaIds[];
}

/** What one stream has told of replicas: of each a fingerprint. */
export interface ToldReplicas {
  /** How many replicas the reader knows of. */
  size(): number;
  /** Begins to read these deployments again; all of them without any named. */
  beginReading(among: readonly string[] | undefined): Reading;
}

/** Creates the memory of a stream that has told nothing yet. */
export function createToldReplicas(): ToldReplicas {
  const byDeployment = new Map<string, Map<string, string>>();
  let size = 0;

  function remember({ deploymentId, replicaId }: ReplicaIds, fingerprint: string): boolean {
    const known = byDeployment.get(deploymentId) ?? new Map<string, string>();
    if (known.get(replicaId) === fingerprint) return false;
    if (!known.has(replicaId)) size += 1;
    byDeployment.set(deploymentId, known.set(replicaId, fingerprint));
    return true;
  }

  function forget({ deploymentId, replicaId }: ReplicaIds): void {
    const known = byDeployment.get(deploymentId);
    if (known?.delete(replicaId)) size -= 1;
    if (known?.size === 0) byDeployment.delete(deploymentId);
  }

  return {
    size: () => size,
    beginReading: (among) => {
      const missing = new Map<string, Set<string>>();
      for (const deploymentId of among ?? byDeployment.keys()) {
        missing.set(deploymentId, new Set(byDeployment.get(deploymentId)?.keys()));
      }
      return {
        isNews: (replica) => {
          missing.get(replica.deploymentId)?.delete(replica.replicaId);
          return remember(replica, fingerprintOf(replica));
        },
        takeMissing: () => {
          const gone = [...missing].flatMap(([deploymentId, ids]) =>
            [...ids].map((replicaId) => ({ deploymentId, replicaId })),
          );
          for (const replica of gone) forget(replica);
          return gone;
        },
      };
    },
  };
}

function fingerprintOf(replica: LocatedReplica): string {
  return createHash('sha256').update(JSON.stringify(replica)).digest('base64').slice(0, 22);
}
