import type { LabelledThing } from '../../../domain/retention/orphans.ts';
import type { DockerOrphans } from '../orphans.ts';
import type { SwarmManaging } from './managing.ts';
import type { SwarmMembership } from './membership.ts';
import { SWARM_LABEL } from './swarm-labels.ts';

/**
 * Creates the part of the adapter that deals with what nobody may own any more: services that are pinned to this host, in
 * place of their containers, and everything that is no service's.
 */
export function createSwarmOrphans(of: {
  readonly managing: SwarmManaging;
  readonly membership: SwarmMembership;
  readonly plain: DockerOrphans;
}): DockerOrphans {
  const { managing, membership, plain } = of;
  return {
    listLabelled: async () => {
      const found = await managing.services.list((await membership.recent()).nodeId);
      const services = found.map(({ id, name, containerLabels: labels, createdAtMs }): LabelledThing => {
        return { kind: 'container', id, name, labels, createdAtMs };
      });
      const others = (await plain.listLabelled()).filter(({ labels }) => labels[SWARM_LABEL.serviceId] === undefined);
      return [...services, ...others];
    },
    removeNetworkById: async ({ id, name }) => {
      // Of before there was a swarm; networks of the swarm have other ids.
      if (!isOverlayId(id)) return await plain.removeNetworkById({ id, name });
      return await managing.overlays.remove(id);
    },
  };
}

/** Swarm's ids of networks are like those of services. */
function isOverlayId(id: string): boolean {
  return /^[0-9a-z]{25}$/.test(id);
}
