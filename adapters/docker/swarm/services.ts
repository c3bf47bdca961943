import type { CreateServiceOptions, Service, ServiceSpec } from 'dockerode';
import { DomainError } from '../../../domain/errors.ts';
import { answerOf, type DockerConnection, statusOf } from '../connection.ts';

/** A service as the managers have it. */
export type KnownService = Service & { readonly Spec: ServiceSpec; readonly CreatedAt: string };

/** One run of a service's container, as the managers know it. */
export interface KnownTask {
  readonly ID: string;
  readonly CreatedAt: string;
  readonly DesiredState: string;
  readonly Status: {
    readonly State: string;
    readonly Err?: string;
    readonly ContainerStatus?: { readonly ContainerID?: string; readonly ExitCode?: number };
  };
}

/** What the managers of a swarm do for one of them. */
export interface SwarmServices {
  find(idOrName: string): Promise<KnownService | undefined>;
  list(labels: readonly string[]): Promise<readonly KnownService[]>;
  /** @returns its id; `undefined` when the name is taken. */
  create(spec: ServiceSpec): Promise<string | undefined>;
  /**
   * Says how many tasks a service shall have.
   *
   * @param anew whether one that has ended is to be replaced, though the number is the same.
   * @returns `false` when there is no such service.
   */
  setTasks(id: string, count: number, anew?: boolean): Promise<boolean>;
  /** Tasks that are known, ended ones among them. */
  tasksOf(id: string): Promise<readonly KnownTask[]>;
  /** One that does not exist counts as removed. */
  remove(id: string): Promise<void>;
}

/** Who is told that a version is out of date looks again; more often than this, somebody else changes it all the time. */
const MOST_TRIES = 5;

/** Creates the calls on services. Only a manager answers them; it asks the leader where it has to. */
export function createSwarmServices({ client, call }: DockerConnection): SwarmServices {
  const find = async (idOrName: string): Promise<KnownService | undefined> => {
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
    find,
    list: async (labels) => {
      const filters = { label: [...labels] };
      return (await call('list services', (abortSignal) =>
        client.listServices({ filters, abortSignal } as Parameters<typeof client.listServices>[0]),
      )) as KnownService[];
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
        throw error;
      }
    },
    setTasks: async (id, count, anew = false) => {
      for (let tries = 1; ; tries += 1) {
        const service = await find(id);
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
        return (await call(`list the tasks of service ${id}`, (abortSignal) =>
          client.listTasks({ filters, abortSignal }),
        )) as KnownTask[];
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

/** Somebody has the name: known when it is asked for, or only when the managers write it down. */
export function isTaken(error: unknown): boolean {
  return statusOf(error) === 409 || /name conflicts with an existing object/.test(answerOf(error));
}
