import { LABEL } from '../../../domain/naming.ts';
import type { LabelledThing } from '../../../domain/retention/orphans.ts';
import type { DockerConnection } from '../connection.ts';
import type { DockerOrphans } from '../orphans.ts';
import { containerSpecOf } from './find-replica.ts';
import { isGone, isInUse } from './networks.ts';
import type { SwarmServices } from './services.ts';
import { SWARM_LABEL } from './swarm-labels.ts';

/**
 * Creates the part of the adapter that deals with what nobody may own any more: services that are pinned to this host, in
 * place of their containers, and everything that is no service's.
 */
export function createSwarmOrphans(
  { client, call }: DockerConnection,
  of: { readonly services: SwarmServices; readonly plain: DockerOrphans; nodeId(): Promise<string> },
): DockerOrphans {
  return {
    listLabelled: async () => {
      const found = await of.services.list([LABEL.instance, `${SWARM_LABEL.node}=${await of.nodeId()}`]);
      const services = found.map(({ ID: id, Spec, CreatedAt }): LabelledThing => {
        const labels = containerSpecOf(Spec).Labels ?? {};
        return { kind: 'container', id, name: Spec.Name ?? '', labels, createdAtMs: Date.parse(CreatedAt) };
      });
      const others = (await of.plain.listLabelled()).filter(
        ({ labels }) => labels[SWARM_LABEL.serviceId] === undefined,
      );
      return [...services, ...others];
    },
    removeNetworkById: async ({ id }) => {
      try {
        await call(`remove network ${id}`, (abortSignal) => client.getNetwork(id).remove({ abortSignal }));
        return true;
      } catch (error) {
        if (isGone(error)) return true;
        if (isInUse(error)) return false;
        throw error;
      }
    },
  };
}
