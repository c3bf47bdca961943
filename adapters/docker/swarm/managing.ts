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

/** How often a manager that has lost the others is asked whether it has found them. */
const PROBE_MS = 2_000;

/**
 * Does each thing by this host's own daemon while it is a manager's, and asks managers while it is a worker's.
 *
 * A manager that was cut off finds the others again only tens of seconds after its cable is back, and can change nothing until
 * then, though they could. It may be silent for 10 s each time: so once it has been, those are asked first until it answers a
 * question that nobody waits for.
 */
export function createManaging(of: {
  readonly membership: SwarmMembership;
  readonly own: SwarmManaging;
  readonly others: SwarmManaging | undefined;
}): SwarmManaging {
  const { membership, own, others } = of;
  let isAlone = false;
  let probedAtMs = Number.NEGATIVE_INFINITY;

  const byOwn = async <Result>(work: (by: SwarmManaging) => Promise<Result>): Promise<Result> => {
    try {
      const result = await work(own);
      isAlone = false;
      return result;
    } catch (error) {
      if (isUnanswered(error)) isAlone = true;
      throw error;
    }
  };
  const probe = (nodeId: string): void => {
    if (performance.now() < probedAtMs + PROBE_MS) return;
    probedAtMs = Number.POSITIVE_INFINITY;
    const settle = () => {
      probedAtMs = performance.now();
    };
    byOwn(async ({ host }) => await host(nodeId)).then(settle, settle);
  };
  const by = async <Result>(work: (by: SwarmManaging) => Promise<Result>): Promise<Result> => {
    const { isManager, nodeId } = await membership.recent();
    if (!others) {
      if (isManager) return await work(own);
      const hint = 'Join this host as a manager (`docker node promote`), or use RUNTIME=docker.';
      throw new DomainError('CONFIGURATION', 'RUNTIME=swarm: this host is a worker of its swarm', { hint });
    }
    if (!isManager) return await work(others);
    if (isAlone) probe(nodeId);
    const inOrder = isAlone ? [() => work(others), () => byOwn(work)] : [() => byOwn(work), () => work(others)];
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
