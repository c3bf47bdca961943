import type { DockerNetworks } from '../networks.ts';
import type { SwarmMembership } from './membership.ts';
import type { Bridges, SwarmOverlays } from './overlays.ts';

/** Creates the part of the adapter that deals with networks, each of which all hosts of a swarm share. */
export function createSwarmNetworks(of: {
  readonly overlays: SwarmOverlays;
  readonly bridges: Bridges;
  readonly membership: SwarmMembership;
}): DockerNetworks {
  const { overlays, bridges, membership } = of;
  return {
    ensureNetwork: async (network) => {
      await overlays.ensure(network);
      // A manager's own bridge was in the way of it, and is gone; a worker's would be in the way of the first task here.
      if (!(await membership.recent()).isManager) await bridges.remove(network.name);
    },
    forgetNetwork: () => undefined,
    removeNetworkIfUnused: async (name) => {
      await overlays.remove(name);
    },
    // Tasks are attached by their swarm alone, which replaces those that it finds without their network.
    reattach: async () => false,
  };
}
