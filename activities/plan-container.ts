import type { EnsureReplicaInput } from '../contracts/activities.ts';
import { NODE_LABEL, type WantedContainer } from '../domain/container.ts';
import { toHealthLabel } from '../domain/health-rules.ts';
import { containerName, networkName, replicaLabels } from '../domain/naming.ts';

/**
 * Says which container a replica is, without making it. The same input gives the same container, so a retry
 * recognises what an earlier attempt has made.
 *
 * The tenant's variables come first: those of the platform cannot be overridden, but `PORT` can.
 */
export function planContainer(
  { template, replicaId, index }: EnsureReplicaInput,
  on: { instance: string; imageId: string; environment: Readonly<Record<string, string>> },
): WantedContainer {
  const { port, healthCheck } = template;
  const replica = { instance: on.instance, deploymentId: template.deploymentId, revision: template.revision, index };
  const { projectId, serviceName, operationId } = template;
  return {
    name: containerName(replica),
    imageId: on.imageId,
    labels: {
      ...replicaLabels({ ...replica, projectId, serviceName, operationId }),
      [NODE_LABEL.health]: toHealthLabel({ check: healthCheck, port }),
    },
    environment: {
      ...(port === null ? {} : { PORT: String(port) }),
      ...on.environment,
      OBIENTE_DEPLOYMENT: serviceName,
      OBIENTE_REVISION: String(template.revision),
      OBIENTE_REPLICA: replicaId,
    },
    command: template.command,
    port,
    limits: template.limits,
    restartPolicy: template.restartPolicy,
    healthCheck,
    network: networkName(on.instance, projectId),
    alias: serviceName,
  };
}
