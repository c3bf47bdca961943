import { ONLY_SERVICE } from './spec.ts';

/** What the platform puts on everything that it makes on Docker. */
export const LABEL = {
  managed: 'cloud.obiente.managed',
  instance: 'cloud.obiente.instance',
  deploymentId: 'cloud.obiente.deployment_id',
  projectId: 'cloud.obiente.project_id',
  serviceName: 'cloud.obiente.service_name',
  service: 'cloud.obiente.service',
  revision: 'cloud.obiente.revision',
  replica: 'cloud.obiente.replica',
  operation: 'cloud.obiente.operation',
  volumeId: 'cloud.obiente.volume_id',
} as const;

/** Who a replica is: enough to name its container on any node. */
export interface ReplicaIdentity {
  readonly instance: string;
  readonly deploymentId: string;
  readonly revision: number;
  readonly index: number;
}

/** Replica id within its deployment, for example `r3-0`. */
export function replicaId(revision: number, index: number): string {
  return `r${revision}-${index}`;
}

/** Reads a replica id; `undefined` for what is none, or is spelled otherwise. */
export function parseReplicaId(text: string): { readonly revision: number; readonly index: number } | undefined {
  const [, revision, index] = /^r([1-9]\d{0,8})-(0|[1-9]\d{0,8})$/.exec(text) ?? [];
  return revision === undefined ? undefined : { revision: Number(revision), index: Number(index) };
}

/** A replica for people: its id, and of a deployment of several services, which one it is of. */
export function replicaTitle({ replicaId, service }: { readonly replicaId: string; readonly service: string }): string {
  return service === ONLY_SERVICE ? replicaId : `${replicaId} of ${service}`;
}

/**
 * Name of a replica's container: the same for every attempt, so creating it twice finds the first one (409) instead of
 * making a second. The deployment's whole id is in it, so no two deployments share a prefix.
 */
export function containerName(replica: ReplicaIdentity): string {
  const deployment = replica.deploymentId.replaceAll('-', '');
  return `obiente-${replica.instance}-${deployment}-${replicaId(replica.revision, replica.index)}`;
}

/** Name of the private bridge network of a project, or of a deployment of several services, on each node. */
export function networkName(instance: string, ownerId: string): string {
  return `obiente-${instance}-${ownerId.replaceAll('-', '')}`;
}

/** A copy of a volume's data: each node that a volume was carried to made one, and the first node the one numbered 0. */
export interface VolumeCopy {
  readonly volumeId: string;
  /** Absent is the same as 0. */
  readonly copy?: number;
}

/** Docker's name of a volume. */
export function volumeName(instance: string, { volumeId, copy = 0 }: VolumeCopy): string {
  const name = `obiente-${instance}-vol-${volumeId.replaceAll('-', '')}`;
  return copy === 0 ? name : `${name}-c${copy}`;
}

/** Labels of a volume: they tell who wants it kept. */
export function volumeLabels(volume: {
  readonly instance: string;
  readonly projectId: string;
  readonly volumeId: string;
}): Record<string, string> {
  return {
    [LABEL.managed]: 'true',
    [LABEL.instance]: volume.instance,
    [LABEL.projectId]: volume.projectId,
    [LABEL.volumeId]: volume.volumeId,
  };
}

/** How the repositories of all images begin that an installation builds. */
export function builtImageRepositoryPrefix(instance: string): string {
  return `obiente-${instance}/`;
}

/** Repository of the images built for a deployment; the tag is `r<revision>-<service>`. */
export function builtImageRepository(instance: string, deploymentId: string): string {
  return `${builtImageRepositoryPrefix(instance)}${deploymentId.replaceAll('-', '')}`;
}

/** Tag under which the image built for a service of a revision is kept. */
export function builtImageTag(
  instance: string,
  { deploymentId, revision, service }: { deploymentId: string; revision: number; service: string },
): string {
  return `${builtImageRepository(instance, deploymentId)}:r${revision}-${service}`;
}

/** Labels of a replica's container. */
export function replicaLabels(
  replica: ReplicaIdentity & { projectId: string; service: string; serviceName: string; operationId: string },
): Record<string, string> {
  return {
    [LABEL.managed]: 'true',
    [LABEL.instance]: replica.instance,
    [LABEL.deploymentId]: replica.deploymentId,
    [LABEL.projectId]: replica.projectId,
    [LABEL.serviceName]: replica.serviceName,
    [LABEL.service]: replica.service,
    [LABEL.revision]: String(replica.revision),
    [LABEL.replica]: replicaId(replica.revision, replica.index),
    [LABEL.operation]: replica.operationId,
  };
}

/** Labels of a project's network and of images built for a deployment. */
export function ownedLabels(owner: {
  instance: string;
  projectId: string;
  deploymentId?: string;
}): Record<string, string> {
  return {
    [LABEL.managed]: 'true',
    [LABEL.instance]: owner.instance,
    [LABEL.projectId]: owner.projectId,
    ...(owner.deploymentId === undefined ? {} : { [LABEL.deploymentId]: owner.deploymentId }),
  };
}
