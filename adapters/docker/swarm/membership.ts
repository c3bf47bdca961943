import { DomainError } from '../../../domain/errors.ts';
import type { CallOptions, DockerConnection } from '../connection.ts';

/** What a host is in its swarm, as its own daemon knows it. */
export interface Membership {
  /** Swarm's id of this host. */
  readonly nodeId: string;
  /** Whether its own daemon takes calls on services. */
  readonly isManager: boolean;
  /** Swarm's ids of the managers that its daemon knows. */
  readonly managers: readonly string[];
}

/** Looks at what this host is in its swarm. Each throws CONFIGURATION when it is in none, and as a call to the daemon does. */
export interface SwarmMembership {
  /** As it was a moment ago, or is. */
  recent(): Promise<Membership>;
  /** As it is. */
  look(options?: CallOptions): Promise<Membership>;
}

interface SwarmInfo {
  readonly NodeID: string;
  readonly LocalNodeState: string;
  readonly ControlAvailable: boolean;
  readonly RemoteManagers?: readonly { readonly NodeID: string }[] | null;
}

/** A host is promoted seldom, and its health is looked at as often. */
const KEPT_MS = 3_000;

/** Creates the look at it. */
export function createMembership({ impatient, call }: DockerConnection): SwarmMembership {
  let last: { readonly membership: Membership; readonly atMs: number } | undefined;

  const look = async (options?: CallOptions): Promise<Membership> => {
    const ask = () => impatient.info() as Promise<{ Swarm?: SwarmInfo }>;
    const { Swarm } = await call('ask docker for its swarm', ask, options);
    if (Swarm?.LocalNodeState !== 'active') {
      last = undefined;
      const state = Swarm?.LocalNodeState ?? 'none';
      throw new DomainError('CONFIGURATION', `RUNTIME=swarm: this host is in no swarm (state: ${state})`, {
        hint: 'Run `docker swarm init`, or let this host join a swarm (`docker swarm join`); or use RUNTIME=docker.',
      });
    }
    const managers = (Swarm.RemoteManagers ?? []).map(({ NodeID }) => NodeID);
    const membership = { nodeId: Swarm.NodeID, isManager: Swarm.ControlAvailable, managers };
    last = { membership, atMs: performance.now() };
    return membership;
  };

  return {
    look,
    recent: async () => (last && performance.now() - last.atMs < KEPT_MS ? last.membership : await look()),
  };
}
