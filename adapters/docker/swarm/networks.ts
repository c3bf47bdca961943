import { DomainError } from '../../../domain/errors.ts';
import { answerOf, type DockerConnection, statusOf } from '../connection.ts';
import type { DockerNetworks } from '../networks.ts';
import { isTaken } from './services.ts';

/**
 * Creates the part of the adapter that deals with networks which all hosts of a swarm share. Each is asked for anew: any
 * other host may have removed it.
 */
export function createSwarmNetworks({ client, impatient, call }: DockerConnection): DockerNetworks {
  const find = async (name: string, scope: 'swarm' | 'local') => {
    const filters = { name: [name], scope: [scope] };
    const found = await call(`look for network ${name}`, () => impatient.listNetworks({ filters }));
    // Docker looks for parts of names.
    return found.find(({ Name }) => Name === name);
  };

  /** @returns whether the name is taken. */
  const create = async (name: string, labels: Readonly<Record<string, string>>): Promise<boolean> => {
    const wanted = { Name: name, Driver: 'overlay', CheckDuplicate: true, Labels: { ...labels } };
    try {
      await call(`create network ${name}`, (abortSignal) => client.createNetwork({ ...wanted, abortSignal }));
      return false;
    } catch (error) {
      if (isTaken(error)) return true;
      throw error;
    }
  };

  /** What the same project had on this host before there was a swarm, once nothing of it runs any more. */
  const removeBridge = async (name: string): Promise<void> => {
    const bridge = await find(name, 'local');
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
  };

  return {
    ensureNetwork: async ({ name, labels }) => {
      if (await find(name, 'swarm')) return;
      // Another host was quicker, or an earlier attempt that seemed to fail was carried out after all; or it is a bridge.
      if (!(await create(name, labels)) || (await find(name, 'swarm'))) return;
      await removeBridge(name);
      await create(name, labels);
    },
    forgetNetwork: () => undefined,
    removeNetworkIfUnused: async (name) => {
      try {
        await call(`remove network ${name}`, (abortSignal) => client.getNetwork(name).remove({ abortSignal }));
      } catch (error) {
        if (!isGone(error) && !isInUse(error)) throw error;
      }
    },
  };
}

/** For a moment after its last task a daemon still has a network that the swarm has no longer. */
export function isGone(error: unknown): boolean {
  return statusOf(error) === 404 || (statusOf(error) === 500 && /network .* not found/.test(answerOf(error)));
}

/** Services, or what is left of a task, are attached to it. */
export function isInUse(error: unknown): boolean {
  return statusOf(error) === 403 || /is in use by/.test(answerOf(error));
}
