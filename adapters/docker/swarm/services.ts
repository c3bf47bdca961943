import type { CreateServiceOptions, Service, ServiceSpec } from 'dockerode';
import { DomainError } from '../../../domain/errors.ts';
import { answerOf, type DockerConnection, statusOf } from '../connection.ts';
import { SWARM_LABEL } from './swarm-labels.ts';

/** A service as the managers have it, without its variables. */
export interface KnownService {
  readonly id: string;
  readonly name: string;
  /** Its own labels. */
  readonly labels: Readonly<Record<string, string>>;
  /** Labels of its containers. */
  readonly containerLabels: Readonly<Record<string, string>>;
  readonly image: string;
  /** Names of the volumes that it writes. */
  readonly writtenVolumes: readonly string[];
  /** How many tasks it shall have. */
  readonly tasks: number;
  /** Whether that was ever changed. */
  readonly isChanged: boolean;
  readonly createdAtMs: number;
}

/** One run of a service's container, as the managers know it. */
export interface KnownTask {
  readonly id: string;
  readonly desiredState: string;
  readonly state: string;
  /** Why it is no other; empty when all is well. */
  readonly error: string;
}

/** What the managers of a swarm do about services. */
export interface SwarmServices {
  find(idOrName: string): Promise<KnownService | undefined>;
  /** Those that are pinned to the host with this id. */
  list(nodeId: string): Promise<readonly KnownService[]>;
  /** @returns its id; `undefined` when the name is taken. @throws NOT_FOUND when its network is gone */
  create(spec: ServiceSpec): Promise<string | undefined>;
  /**
   * Says how many tasks a service shall have.
   *
   * @param anew whether one that has ended is to be replaced, though the number is the same.
   * @param signal of a caller that may have asked another manager since: nothing begins after it is aborted.
   * @returns `false` when there is no such service.
   */
  setTasks(id: string, count: number, anew?: boolean, signal?: AbortSignal): Promise<boolean>;
  /** Tasks that are known, ended ones among them. @throws NOT_FOUND */
  tasksOf(id: string): Promise<readonly KnownTask[]>;
  /** One that does not exist counts as removed. */
  remove(id: string): Promise<void>;
}

type RawService = Service & { readonly Spec: ServiceSpec; readonly CreatedAt: string; readonly PreviousSpec?: unknown };

interface RawTask {
  readonly ID: string;
  readonly DesiredState: string;
  readonly Status: { readonly State: string; readonly Err?: string };
}

/** Who is told that a version is out of date looks again; more often than this, somebody else changes it all the time. */
const MOST_TRIES = 5;

/** Creates the calls on services. Only a manager answers them; it asks the leader where it has to. */
export function createSwarmServices({ client, call }: DockerConnection): SwarmServices {
  const inspect = async (idOrName: string): Promise<RawService | undefined> => {
    try {
      return await call(`inspect service ${idOrName}`, (abortSignal) =>
        client.getService(idOrName).inspect({ abortSignal }),
      );
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw error;
    }
  };

  return {
    find: async (idOrName) => {
      const found = await inspect(idOrName);
      return found && toKnownService(found);
    },
    list: async (nodeId) => {
      const filters = { label: [`${SWARM_LABEL.node}=${nodeId}`] };
      const found = (await call('list services', (abortSignal) =>
        client.listServices({ filters, abortSignal } as Parameters<typeof client.listServices>[0]),
      )) as RawService[];
      return found.map(toKnownService);
    },
    create: async (spec) => {
      // Variables are in the body, and nowhere else: what the client is not told goes into the address.
      const request = { _query: {}, _body: spec };
      try {
        const { id, ID } = (await call(`create service ${spec.Name}`, (abortSignal) =>
          client.createService({ ...request, abortSignal } as CreateServiceOptions),
        )) as { id?: string; ID?: string };
        return id ?? ID;
      } catch (error) {
        if (isTaken(error)) return undefined;
        if (!/network .* not found/.test(answerOf(error))) throw error;
        throw new DomainError('NOT_FOUND', `there is no network for service ${spec.Name}`, { cause: error });
      }
    },
    setTasks: async (id, count, anew = false, signal) => {
      for (let tries = 1; ; tries += 1) {
        const service = await inspect(id);
        signal?.throwIfAborted();
        if (!service) return false;
        const { TaskTemplate: template } = service.Spec;
        const force = { ForceUpdate: (template?.ForceUpdate ?? 0) + 1 };
        const spec = {
          ...service.Spec,
          TaskTemplate: anew ? { ...template, ...force } : template,
          Mode: { Replicated: { Replicas: count } },
        };
        const request = { _query: { version: service.Version?.Index }, _body: spec };
        try {
          await call(`set the tasks of service ${id} to ${count}`, (abortSignal) =>
            client.getService(id).update({ ...request, abortSignal }),
          );
          return true;
        } catch (error) {
          if (statusOf(error) === 404) return false;
          if (tries === MOST_TRIES || !/out of sequence/.test(answerOf(error))) throw error;
        }
      }
    },
    tasksOf: async (id) => {
      try {
        const filters = JSON.stringify({ service: [id] });
        const found = (await call(`list the tasks of service ${id}`, (abortSignal) =>
          client.listTasks({ filters, abortSignal }),
        )) as RawTask[];
        return found.map(({ ID, DesiredState: desiredState, Status: { State: state, Err: error = '' } }) => {
          return { id: ID, desiredState, state, error };
        });
      } catch (error) {
        if (statusOf(error) === 404) throw new DomainError('NOT_FOUND', `there is no service ${id}`, { cause: error });
        throw error;
      }
    },
    remove: async (id) => {
      try {
        await call(`remove service ${id}`, (abortSignal) => client.getService(id).remove({ abortSignal }));
      } catch (error) {
        if (statusOf(error) !== 404) throw error;
      }
    },
  };
}

function toKnownService({ ID: id, Spec, CreatedAt, PreviousSpec }: RawService): KnownService {
  const template = Spec.TaskTemplate;
  const container = template && 'ContainerSpec' in template ? (template.ContainerSpec ?? {}) : {};
  const written = (container.Mounts ?? []).filter(({ Type, ReadOnly }) => Type === 'volume' && !ReadOnly);
  return {
    id,
    name: Spec.Name ?? '',
    labels: Spec.Labels ?? {},
    containerLabels: container.Labels ?? {},
    image: container.Image ?? '',
    writtenVolumes: written.map(({ Source }) => Source),
    tasks: Spec.Mode?.Replicated?.Replicas ?? 1,
    isChanged: PreviousSpec !== undefined && PreviousSpec !== null,
    createdAtMs: Date.parse(CreatedAt),
  };
}

/** Somebody has the name: known when it is asked for, or only when the managers write it down. */
export function isTaken(error: unknown): boolean {
  return statusOf(error) === 409 || /name conflicts with an existing object/.test(answerOf(error));
}
