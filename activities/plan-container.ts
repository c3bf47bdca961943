import type { EnsureReplicaInput } from '../contracts/node-activities.ts';
import type { ReplicaTemplate } from '../contracts/rollout.ts';
import { cohortName } from '../domain/cohort.ts';
import { NODE_LABEL, type WantedContainer } from '../domain/container.ts';
import { rulesOf, toHealthLabel } from '../domain/health-rules.ts';
import { containerName, replicaLabels, volumeName } from '../domain/naming.ts';
import { isAlone, networkOf } from './prepare-replica.ts';

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
  const { port, healthCheck, container } = template;
  const replica = { instance: on.instance, deploymentId: template.deploymentId, revision: template.revision, index };
  const { projectId, service, serviceName, operationId } = template;
  return {
    name: containerName(replica),
    imageId: on.imageId,
    labels: {
      ...replicaLabels({ ...replica, projectId, service, serviceName, operationId }),
      [NODE_LABEL.health]: toHealthLabel(rulesOf(template)),
      ...(container.stopGraceMs === null ? {} : { [NODE_LABEL.stopGrace]: String(container.stopGraceMs) }),
    },
    environment: {
      ...(port === null ? {} : { PORT: String(port) }),
      ...on.environment,
      OBIENTE_DEPLOYMENT: serviceName,
      ...(isAlone(template) ? {} : { OBIENTE_SERVICE: service }),
      OBIENTE_REVISION: String(template.revision),
      OBIENTE_REPLICA: replicaId,
    },
    command: template.command,
    port,
    limits: template.limits,
    restartPolicy: template.restartPolicy,
    healthCheck,
    settings: container,
    ...volumesOf(template, on.instance),
    network: networkOf(template, on.instance).name,
    alias: isAlone(template) ? serviceName : service,
    ...namesOf(template),
  };
}

/** Nothing at all without a cohort, so that containers of before there were any are still the same. */
function namesOf({ service, cohort }: ReplicaTemplate): Pick<WantedContainer, 'names'> {
  if (!cohort) return {};
  const { number, services } = cohort;
  const lookUp = Object.fromEntries(services.map((name) => [name, cohortName(name, number)]));
  return { names: { own: cohortName(service, number), lookUp } };
}

/** Nothing at all without volumes, so that containers of before there were any are still the same. */
function volumesOf({ volumes = [] }: ReplicaTemplate, instance: string): Pick<WantedContainer, 'volumes'> {
  if (volumes.length === 0) return {};
  return {
    volumes: volumes.map(({ path, readOnly, ...of }) => ({ name: volumeName(instance, of), path, readOnly })),
  };
}
