import { DomainError, isDomainError } from '../../../domain/errors.ts';
import { isLabelWord } from '../../../domain/node-labels.ts';
import type { CallOptions, DockerConnection } from '../connection.ts';
import { type DockerHealth, HEALTH_TIMEOUT_MS } from '../health.ts';
import { GATEWAY_BRIDGE } from './task-containers.ts';

/** What this host is in its swarm. */
export interface SwarmHost extends DockerHealth {
  /** Swarm's id of this host. @throws CONFIGURATION when it manages no swarm */
  nodeId(): Promise<string>;
}

/** A swarm node, as its managers tell of it. */
interface KnownNode {
  readonly Spec: { readonly Availability: string; readonly Labels?: Readonly<Record<string, string>> };
}

interface SwarmInfo {
  readonly NodeID: string;
  readonly LocalNodeState: string;
  readonly ControlAvailable: boolean;
}

/** From this engine on Swarm can say of a container that it gets no new privileges. */
const FIRST_WITH_PRIVILEGES = 25;

/**
 * Creates the part of the adapter that looks at this host in its swarm.
 *
 * It is in health when its daemon is, a majority of the managers answers, and the swarm gives it work: a host that was
 * drained or paused there takes no replicas here either.
 *
 * @param tell told what is weaker on this host than the platform would have it, when the host is described.
 */
export function createSwarmHost(
  { client, impatient, call }: DockerConnection,
  of: { readonly plain: DockerHealth; readonly nodeAddress: string; tell(weakness: string): void },
): SwarmHost {
  const nodeId = async (options?: CallOptions): Promise<string> => {
    const ask = () => impatient.info() as Promise<{ Swarm?: SwarmInfo }>;
    const { Swarm } = await call('ask docker for its swarm', ask, options);
    const reason = whyNot(Swarm);
    if (reason === undefined && Swarm) return Swarm.NodeID;
    throw new DomainError('CONFIGURATION', `RUNTIME=swarm: ${reason}`, {
      hint: 'Run `docker swarm init`, or join this host as a manager (`docker node promote`); or use RUNTIME=docker.',
    });
  };

  const look = async (options?: CallOptions): Promise<KnownNode> => {
    const id = await nodeId(options);
    return await call(
      `inspect swarm node ${id}`,
      (abortSignal) => client.getNode(id).inspect({ abortSignal }),
      options,
    );
  };

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

  return {
    nodeId,
    checkHealth: async () => {
      const health = await of.plain.checkHealth();
      if (health.kind !== 'healthy') return health;
      try {
        const { Availability: availability } = (await look({ timeoutMs: HEALTH_TIMEOUT_MS })).Spec;
        if (availability === 'active') return health;
        return { kind: 'unreachable', reason: `its availability in the swarm is ${availability}` };
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        if (isDomainError(error) && error.code === 'CONFIGURATION') return { kind: 'unreachable', reason };
        // Managers that choose a new leader are silent for a moment, which is no trouble of this host.
        return { kind: 'unanswered', reason: `no majority of the swarm's managers answers: ${reason}` };
      }
    },
    describeHost: async () => {
      const [facts, { Spec }] = await Promise.all([of.plain.describeHost(), look()]);
      await tellWeaknesses(facts.dockerVersion);
      const labels = Object.entries(Spec.Labels ?? {}).filter((label) => label.every(isLabelWord));
      return { ...facts, labels: Object.fromEntries(labels) };
    },
  };
}

function whyNot(swarm: SwarmInfo | undefined): string | undefined {
  if (swarm?.LocalNodeState !== 'active') return `this host is in no swarm (state: ${swarm?.LocalNodeState ?? 'none'})`;
  return swarm.ControlAvailable ? undefined : 'this host is a worker of its swarm, and only managers run replicas';
}
