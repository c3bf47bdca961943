import type { NodeActivities } from '../contracts/node-activities.ts';
import { COMPOSE_LIMITS } from '../domain/compose/application.ts';
import { NODE_LABEL, type ObservedContainer } from '../domain/container.ts';
import { DomainError } from '../domain/errors.ts';
import { containerName, LABEL } from '../domain/naming.ts';
import { withHeartbeats } from './heartbeats.ts';
import type { ReplicaPorts } from './node-ports.ts';

/**
 * Creates the activity that stops and removes one replica's container.
 *
 * Safe to run twice: one that does not exist counts as removed. Found by the replica's name and then addressed by its
 * id, so that a late call never meets a newer container. Heartbeats tell the step.
 *
 * @throws REPLICA_CONFLICT (final) when a container of that name belongs to somebody else.
 */
export function createRemoveReplica({
  instance,
  runtime,
  restarts,
}: Pick<ReplicaPorts, 'instance' | 'runtime' | 'restarts'>): Pick<NodeActivities, 'removeReplica'> {
  return {
    removeReplica: ({ deploymentId, revision, index, stopGraceMs }) =>
      withHeartbeats({ step: 'stop' }, async (heartbeats) => {
        const name = containerName({ instance, deploymentId, revision, index });
        const found = await runtime.findContainer(name);
        if (!found) return;
        if (found.labels[LABEL.instance] !== instance || found.labels[LABEL.deploymentId] !== deploymentId) {
          throw new DomainError('REPLICA_CONFLICT', `container ${name} was made by somebody else and is left alone`);
        }
        await restarts.retire(found);
        await runtime.stopContainer(found.id, ownGraceMs(found) ?? stopGraceMs);
        heartbeats.report({ step: 'remove' });
        await runtime.removeContainer(found.id);
      }),
  };
}

/** Time from SIGTERM to SIGKILL that a container's application asks for, milliseconds; `undefined` where it does not. */
export function ownGraceMs({ labels }: ObservedContainer): number | undefined {
  const graceMs = Number(labels[NODE_LABEL.stopGrace] ?? Number.NaN);
  return Number.isFinite(graceMs) ? Math.min(graceMs, COMPOSE_LIMITS.stopGracePeriodMs) : undefined;
}
