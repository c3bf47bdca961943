import { DomainError } from '../../domain/errors.ts';
import { leaving } from '../../domain/move.ts';
import type { LockedDeployment, StoredOperation } from './deployment-lock.ts';
import type { RecordedReplica } from './recorded-replicas.ts';

/**
 * Marks what an operation replaces: a heal what is gone or on lost nodes, a move what is to leave.
 *
 * What is bound to a node by its volumes waits for a lost one, unless it leaves them, and is replaced there when it is gone.
 *
 * @throws NO_NODE_READY when it is to be moved without its volumes.
 */
export function markGivenUp(
  existing: readonly RecordedReplica[],
  of: {
    readonly deployment: LockedDeployment;
    readonly operation: StoredOperation;
    readonly isBound: boolean;
    /** Whether what is bound waits for a lost node. */
    readonly waits: boolean;
  },
): readonly RecordedReplica[] {
  const { deployment, operation, isBound, waits } = of;
  const { kind, move } = operation;
  const left = move ? leaving(move, existing) : new Set<string>();
  if (isBound && left.size > 0 && move?.volumes !== true) throw bound(deployment.name);
  const isGivenUp = ({ replicaId, gone, nodeLost }: RecordedReplica): boolean =>
    left.has(replicaId) || (kind === 'heal' && (gone || (nodeLost && !(isBound && waits))));
  return existing.map((one) => (isGivenUp(one) ? { ...one, givenUp: true } : one));
}

function bound(name: string): DomainError {
  return new DomainError('NO_NODE_READY', `cannot move ${name}: it is where its volumes are`, {
    hint: 'Move it with its volumes: it stands still while they are copied.',
  });
}
