import type { EventKind } from '../../adapters/postgres/events.ts';
import { LABEL } from '../../domain/naming.ts';
import type { Subject } from '../integration/deployed.ts';
import { untilNone } from '../support/until-none.ts';
import { type Cluster, containersOf } from './cluster.ts';

/** I5: nothing without an owner is on any daemon once every deployment was removed. What is left, in words. */
export async function nothingLeft(cluster: Cluster): Promise<string[]> {
  const filters = { label: [`${LABEL.instance}=${cluster.instance}`] };
  const look = async (): Promise<string[]> => {
    const left = await Promise.all(
      cluster.nodes.map(async ({ nodeId, docker: { client } }) => {
        const containers = await client.listContainers({ all: true, filters });
        const networks = await client.listNetworks({ filters });
        const { Swarm } = (await client.info()) as { Swarm?: { ControlAvailable: boolean } };
        const services = Swarm?.ControlAvailable ? await client.listServices({ filters } as object) : [];
        return [
          ...services.map(({ Spec }) => `I5: service ${Spec?.Name} is left`),
          ...containers.map(({ Names, State }) => `I5: container ${Names[0]} is left on ${nodeId}, ${State}`),
          ...networks.map(({ Name }) => `I5: network ${Name} is left on ${nodeId}`),
        ];
      }),
    );
    return left.flat();
  };
  return await untilNone(look);
}

/**
 * A deployment is what it is wanted to be on all daemons together: each wanted replica has one container, which runs and
 * is recorded as healthy where it is, and there is no other one. What is not, in words.
 */
export async function wholeDeployment(cluster: Cluster, id: string, replicas: number): Promise<string[]> {
  const look = async (): Promise<string[]> => {
    const containers = await containersOf(id, cluster.nodes);
    const recorded = await cluster.db
      .selectFrom('replicas')
      .select(['replica_id', 'container_id', 'node_id', 'state', 'serving'])
      .where('deployment_id', '=', id)
      .execute();
    const seen = new Map(containers.map((container) => [container.id, container]));
    const strays = containers.filter((container) => !recorded.some((row) => row.container_id === container.id));
    return [
      ...(containers.length === replicas ? [] : [`${containers.length} containers of ${replicas} wanted`]),
      ...(recorded.length === replicas ? [] : [`${recorded.length} replicas recorded of ${replicas} wanted`]),
      ...strays.map(({ replica, nodeId }) => `I1: container of replica ${replica} on ${nodeId} is not recorded`),
      ...recorded.flatMap(({ replica_id, container_id, node_id, state, serving }) => {
        const container = seen.get(container_id ?? '');
        const isWell = container?.running && container.nodeId === node_id && state === 'healthy' && serving;
        return isWell
          ? []
          : [`replica ${replica_id} on ${node_id} is ${state}, its container runs: ${container?.running}`];
      }),
    ];
  };
  return await untilNone(look);
}

/**
 * How often it was said of a replica that it is not well, or that it was replaced.
 *
 * @param truths kinds of what may be said, since it is so
 */
export async function countVerdicts(
  { db }: Cluster,
  { id }: Pick<Subject, 'id'>,
  since: Date,
  truths: readonly EventKind[] = [],
): Promise<number> {
  const said = await db
    .selectFrom('deployment_events')
    .select('kind')
    .where('deployment_id', '=', id)
    .where('at', '>=', since)
    .execute();
  return said.filter(({ kind }) => !truths.some((truth) => truth === kind)).length;
}
