import { DomainError } from '../../../domain/errors.ts';
import { LABEL } from '../../../domain/naming.ts';
import { answerOf, type DockerConnection, statusOf } from '../connection.ts';
import { isTaken } from './services.ts';

/** A network as it is wanted. */
export interface WantedNetwork {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** The networks that all hosts of a swarm share, as only managers change them. */
export interface SwarmOverlays {
  /**
   * Makes one exist. Each is asked for anew: any other host may have removed it.
   *
   * @throws REPLICA_CONFLICT while containers of plain Docker are on a bridge of this name, on a manager
   */
  ensure(network: WantedNetwork): Promise<void>;
  /** Removes one unless something is attached to it. @returns whether it is gone */
  remove(idOrName: string): Promise<boolean>;
}

/** The same on a manager, which also tells whose a network is. */
export interface OwnOverlays extends SwarmOverlays {
  /** The installation of which a network is; `undefined` when there is none, or it has no such label. */
  installationOf(idOrName: string): Promise<string | undefined>;
}

/** Creates the part that deals with networks which all hosts of a swarm share, by the daemon of a manager. */
export function createSwarmOverlays({ client, impatient, call }: DockerConnection, bridges: Bridges): OwnOverlays {
  const isThere = async (name: string): Promise<boolean> => {
    const filters = { name: [name], scope: ['swarm'] };
    const found = await call(`look for network ${name}`, () => impatient.listNetworks({ filters }));
    // Docker looks for parts of names.
    return found.some(({ Name }) => Name === name);
  };

  /** @returns whether the name is taken. */
  const create = async ({ name, labels }: WantedNetwork): Promise<boolean> => {
    const wanted = { Name: name, Driver: 'overlay', CheckDuplicate: true, Labels: { ...labels } };
    try {
      await call(`create network ${name}`, (abortSignal) => client.createNetwork({ ...wanted, abortSignal }));
      return false;
    } catch (error) {
      if (isTaken(error)) return true;
      throw error;
    }
  };

  return {
    ensure: async (network) => {
      if (await isThere(network.name)) return;
      // Another host was quicker, or an earlier attempt that seemed to fail was carried out after all; or it is a bridge.
      if (!(await create(network)) || (await isThere(network.name))) return;
      await bridges.remove(network.name);
      await create(network);
    },
    remove: async (idOrName) => {
      try {
        await call(`remove network ${idOrName}`, (abortSignal) => client.getNetwork(idOrName).remove({ abortSignal }));
        return true;
      } catch (error) {
        if (isGone(error)) return true;
        if (isInUse(error)) return false;
        throw error;
      }
    },
    installationOf: async (idOrName) => {
      try {
        const found = await call(`inspect network ${idOrName}`, () => impatient.getNetwork(idOrName).inspect());
        return found.Labels?.[LABEL.instance];
      } catch (error) {
        if (isGone(error)) return undefined;
        throw error;
      }
    },
  };
}

/** What this host has of projects of before there was a swarm. */
export interface Bridges {
  /** Removes one by its name, once nothing of its project runs on it any more. @throws REPLICA_CONFLICT until then */
  remove(name: string): Promise<void>;
}

/** Creates the part that deals with the bridges of this host that are in the way of networks of the swarm. */
export function createBridges({ client, impatient, call }: DockerConnection): Bridges {
  return {
    remove: async (name) => {
      const filters = { name: [name], scope: ['local'] };
      const found = await call(`look for network ${name}`, () => impatient.listNetworks({ filters }));
      const bridge = found.find(({ Name }) => Name === name);
      if (!bridge) return;
      try {
        await call(`remove network ${name}`, (abortSignal) => client.getNetwork(bridge.Id).remove({ abortSignal }));
      } catch (error) {
        if (isGone(error)) return;
        if (!isInUse(error)) throw error;
        throw new DomainError('REPLICA_CONFLICT', `containers of plain docker are on network ${name} of this host`, {
          hint: 'Stop the deployments of this project, and start them again.',
          cause: error,
        });
      }
    },
  };
}

/** For a moment after its last task a daemon still has a network that the swarm has no longer. */
function isGone(error: unknown): boolean {
  return statusOf(error) === 404 || (statusOf(error) === 500 && /network .* not found/.test(answerOf(error)));
}

/** Services, or what is left of a task, are attached to it. */
function isInUse(error: unknown): boolean {
  return statusOf(error) === 403 || /is in use by/.test(answerOf(error));
}
