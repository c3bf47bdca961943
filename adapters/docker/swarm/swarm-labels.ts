/** Labels that tell a task's container, or a service, what it belongs to. */
export const SWARM_LABEL = {
  /** Swarm's own, on the container of each task. */
  serviceId: 'com.docker.swarm.service.id',
  serviceName: 'com.docker.swarm.service.name',
  /** Ours, on a service: Swarm's id of the node that it is pinned to. */
  node: 'cloud.obiente.swarm_node',
} as const;

/** Whether this is an id as Swarm gives it to services: Docker's containers have 64 hex digits. */
export function isServiceId(id: string): boolean {
  return /^[0-9a-z]{25}$/.test(id);
}
