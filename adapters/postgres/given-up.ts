import type { ExistingReplica } from '../../contracts/rollout.ts';
import { DomainError } from '../../domain/errors.ts';
import { leaving } from '../../domain/move.ts';
import type { LockedDeployment, StoredOperation } from './deployment-lock.ts';

/**
 * Marks what an operation replaces for the node that it is on: a heal what is on lost nodes, a move what is to leave.
 *
 * What is bound to a node by its volumes waits for a lost one.
 *
 * @throws NO_NODE_READY when it is to be moved: data does not move by itself.
 */
export function markGivenUp(
  existing: readonly ExistingReplica[],
  { deployment, operation, isBound }: { deployment: LockedDeployment; operation: StoredOperation; isBound: boolean },
): readonly ExistingReplica[] {
  const { kind, move } = operation;
  const gone = move ? leaving(move, existing) : new Set(kind === 'heal' ? idsOfLost(existing) : []);
  if (gone.size === 0) return existing;
  if (isBound && move) throw bound(deployment.name);
  return isBound ? existing : existing.map((one) => (gone.has(one.replicaId) ? { ...one, givenUp: true } : one));
}

function idsOfLost(existing: readonly ExistingReplica[]): string[] {
  return existing.flatMap(({ nodeLost, replicaId }) => (nodeLost ? [replicaId] : []));
}

function bound(name: string): DomainError {
  return new DomainError('NO_NODE_READY', `cannot move ${name}: it is where its volumes are`, {
    hint: 'Restore a snapshot of each volume under another name, and deploy with those.',
  });
}
