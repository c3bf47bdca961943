import { DomainError, isDomainError } from '../../../domain/errors.ts';
import type { CallOptions, DockerConnection } from '../connection.ts';
import type { SwarmMembership } from './membership.ts';
import { type Bridges, createSwarmOverlays, type OwnOverlays, type SwarmOverlays } from './overlays.ts';
import { createSwarmServices, type SwarmServices } from './services.ts';

/** A host, as the managers of its swarm tell of it. */
export interface KnownHost {
  /** `active`, `pause` or `drain`. */
  readonly availability: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** What the managers of a swarm do for a host. */
export interface SwarmManaging {
  readonly services: SwarmServices;
  readonly overlays: SwarmOverlays;
  /** How they know it. @throws NOT_FOUND when they do not, any more */
  host(nodeId: string, options?: CallOptions): Promise<KnownHost>;
}

/** A host in the list of its swarm. */
export interface ListedHost {
  readonly id: string;
  readonly hostname: string;
  readonly role: string;
  readonly availability: string;
  readonly state: string;
  readonly address: string;
  readonly leader: boolean;
}

/** What the daemon of a manager does itself. */
export interface OwnManaging extends SwarmManaging {
  readonly overlays: OwnOverlays;
  /** All hosts of the swarm. */
  listHosts(): Promise<readonly ListedHost[]>;
}

/** Asks others to manage: which of them, they know. */
export type AskManagers = (membership: SwarmMembership) => SwarmManaging;

interface RawNode {
  readonly ID: string;
  readonly Spec: {
    readonly Role: string;
    readonly Availability: string;
    readonly Labels?: Readonly<Record<string, string>> | null;
  };
  readonly Description?: { readonly Hostname?: string };
  readonly Status?: { readonly State?: string; readonly Addr?: string };
  readonly ManagerStatus?: { readonly Leader?: boolean; readonly Addr?: string };
}

/** Creates what a manager's own daemon does. */
export function createOwnManaging(connection: DockerConnection, bridges: Bridges): OwnManaging {
  const { client, call } = connection;
  return {
    services: createSwarmServices(connection),
    overlays: createSwarmOverlays(connection, bridges),
    host: async (id, options) => {
      const { Spec } = (await call(
        `inspect swarm node ${id}`,
        (abortSignal) => client.getNode(id).inspect({ abortSignal }),
        options,
      )) as RawNode;
      return { availability: Spec.Availability, labels: Spec.Labels ?? {} };
    },
    listHosts: async () => {
      const found = (await call('list swarm nodes', (abortSignal) =>
        client.listNodes({ abortSignal } as object),
      )) as unknown as RawNode[];
      return found.map(({ ID: id, Spec, Description, Status, ManagerStatus }) => ({
        ...{ id, hostname: Description?.Hostname ?? '', role: Spec.Role, availability: Spec.Availability },
        ...{ state: Status?.State ?? 'unknown', address: Status?.Addr ?? '', leader: ManagerStatus?.Leader === true },
      }));
    },
  };
}

/**
 * A manager that has lost the others finds them again within a minute mostly, and until then may be silent for 10 s each time:
 * for so long those are asked first.
 */
const ALONE_MS = 30_000;

/**
 * Does each thing by this host's own daemon while it is a manager's, and asks managers while it is a worker's.
 *
 * A manager that was cut off finds the others again only tens of seconds after its cable is back, and can change nothing until
 * then, though they could: so what it cannot do is asked of them as well.
 */
export function createManaging(of: {
  readonly membership: SwarmMembership;
  readonly own: SwarmManaging;
  readonly others: SwarmManaging | undefined;
}): SwarmManaging {
  const { membership, own, others } = of;
  let aloneUntilMs = 0;

  const byOwn = async <Result>(work: (by: SwarmManaging) => Promise<Result>): Promise<Result> => {
    try {
      return await work(own);
    } catch (error) {
      if (isUnanswered(error)) aloneUntilMs = performance.now() + ALONE_MS;
      throw error;
    }
  };
  const by = async <Result>(work: (by: SwarmManaging) => Promise<Result>): Promise<Result> => {
    const { isManager } = await membership.recent();
    if (!others) {
      if (isManager) return await work(own);
      const hint = 'Join this host as a manager (`docker node promote`), or use RUNTIME=docker.';
      throw new DomainError('CONFIGURATION', 'RUNTIME=swarm: this host is a worker of its swarm', { hint });
    }
    if (!isManager) return await work(others);
    const inOrder =
      performance.now() < aloneUntilMs
        ? [() => work(others), () => byOwn(work)]
        : [() => byOwn(work), () => work(others)];
    const [first, second] = inOrder as [() => Promise<Result>, () => Promise<Result>];
    try {
      return await first();
    } catch (error) {
      if (!isUnanswered(error)) throw error;
      return await second();
    }
  };
  return {
    services: {
      find: async (idOrName) => await by(({ services }) => services.find(idOrName)),
      list: async (nodeId) => await by(({ services }) => services.list(nodeId)),
      create: async (spec) => await by(({ services }) => services.create(spec)),
      setTasks: async (...how) => await by(({ services }) => services.setTasks(...how)),
      tasksOf: async (id) => await by(({ services }) => services.tasksOf(id)),
      remove: async (id) => await by(({ services }) => services.remove(id)),
    },
    overlays: {
      ensure: async (network) => await by(({ overlays }) => overlays.ensure(network)),
      remove: async (idOrName) => await by(({ overlays }) => overlays.remove(idOrName)),
    },
    host: async (...which) => await by(({ host }) => host(...which)),
  };
}

function isUnanswered(error: unknown): boolean {
  return isDomainError(error) && error.code === 'DOCKER_UNAVAILABLE';
}
