import { isDomainError } from '../../../domain/errors.ts';
import { isLabelWord } from '../../../domain/node-labels.ts';
import type { DockerConnection } from '../connection.ts';
import { type DockerHealth, HEALTH_TIMEOUT_MS } from '../health.ts';
import type { KnownHost, SwarmManaging } from './managing.ts';
import type { SwarmMembership } from './membership.ts';
import { GATEWAY_BRIDGE } from './task-containers.ts';

/** From this engine on Swarm can say of a container that it gets no new privileges. */
const FIRST_WITH_PRIVILEGES = 25;

/** The look at a host in its swarm. */
export interface SwarmHealth extends DockerHealth {
  /** Whether what the host is in its swarm, or its labels there, became another since it was described last. */
  isOutdated(): boolean;
}

/**
 * Creates the part of the adapter that looks at this host in its swarm.
 *
 * It is in health when its daemon is, a majority of the managers answers, and the swarm gives it work: a host that was
 * drained, paused or removed there takes no replicas here either.
 *
 * A worker may be described before any manager can be asked, since those have to be told of it first; it has no labels of
 * the swarm then, and is described anew once they are known.
 *
 * @param tell told what is weaker on this host than the platform would have it, when the host is described.
 */
export function createSwarmHealth(
  { impatient, call }: DockerConnection,
  of: {
    readonly plain: DockerHealth;
    readonly membership: SwarmMembership;
    readonly managing: SwarmManaging;
    readonly nodeAddress: string;
    tell(weakness: string): void;
  },
): SwarmHealth {
  const { plain, membership, managing } = of;
  let described: string | undefined;
  let seen: string | undefined;
  let lastLabels: Readonly<Record<string, string>> = {};

  const tellWeaknesses = async (dockerVersion: string): Promise<void> => {
    if (Number.parseInt(dockerVersion, 10) < FIRST_WITH_PRIVILEGES) {
      of.tell(`docker ${dockerVersion} cannot say it for a service: set "no-new-privileges": true in daemon.json`);
    }
    const { Options = {} } = await call(`inspect network ${GATEWAY_BRIDGE}`, () =>
      impatient.getNetwork(GATEWAY_BRIDGE).inspect(),
    );
    const bound = Options['com.docker.network.bridge.host_binding_ipv4'] ?? '0.0.0.0';
    if (bound !== of.nodeAddress) {
      of.tell(`ports of replicas are published on ${bound}, not only on ${of.nodeAddress}: see ${GATEWAY_BRIDGE}`);
    }
  };

  const firstLabels = async (nodeId: string, isManager: boolean): Promise<Readonly<Record<string, string>>> => {
    try {
      lastLabels = labelsOf(await managing.host(nodeId));
    } catch (error) {
      if (isManager) throw error;
    }
    return lastLabels;
  };

  return {
    isOutdated: () => seen !== undefined && described !== undefined && seen !== described,
    checkHealth: async () => {
      const health = await plain.checkHealth();
      if (health.kind !== 'healthy') return health;
      try {
        const { nodeId, isManager } = await membership.look({ timeoutMs: HEALTH_TIMEOUT_MS });
        const host = await within(HEALTH_TIMEOUT_MS, managing.host(nodeId, { timeoutMs: HEALTH_TIMEOUT_MS }));
        lastLabels = labelsOf(host);
        seen = told({ nodeId, isManager, labels: lastLabels });
        if (host.availability === 'active') return health;
        return { kind: 'unreachable', reason: `its availability in the swarm is ${host.availability}` };
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        if (isDomainError(error) && error.code === 'CONFIGURATION') return { kind: 'unreachable', reason };
        if (isDomainError(error) && error.code === 'NOT_FOUND') {
          return { kind: 'unreachable', reason: 'it was removed from the swarm' };
        }
        // Managers that choose a new leader are silent for a moment, which is no trouble of this host.
        return { kind: 'unanswered', reason: `no majority of the swarm's managers answers: ${reason}` };
      }
    },
    describeHost: async () => {
      const [facts, { nodeId, isManager }] = await Promise.all([plain.describeHost(), membership.look()]);
      // The look at its health follows the labels later on; a host that returns has not to wait for managers first.
      const labels = described === undefined ? await firstLabels(nodeId, isManager) : lastLabels;
      await tellWeaknesses(facts.dockerVersion);
      described = told({ nodeId, isManager, labels });
      return { ...facts, labels, swarm: { nodeId, isManager } };
    },
  };
}

/** Managers are asked one after the other, and for tokens: a look at the health ends before all of them have been silent. */
async function within<Result>(timeoutMs: number, work: Promise<Result>): Promise<Result> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`none has answered within ${timeoutMs} ms`)), timeoutMs);
  work.catch(() => undefined);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function labelsOf({ labels }: Pick<KnownHost, 'labels'>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(labels).filter((label) => label.every(isLabelWord)));
}

/** What a host was described as, to be compared. */
function told(of: { nodeId: string; isManager: boolean; labels: Readonly<Record<string, string>> }): string {
  return JSON.stringify([of.nodeId, of.isManager, Object.entries(of.labels).sort()]);
}
