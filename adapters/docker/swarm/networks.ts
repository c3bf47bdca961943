import { answerOf, type DockerConnection, statusOf } from '../connection.ts';
import type { DockerNetworks } from '../networks.ts';
import { isTaken } from './services.ts';

/**
 * Creates the part of the adapter that deals with networks which all hosts of a swarm share. Each is asked for anew: any
 * other host may have removed it.
 */
export function createSwarmNetworks({ client, impatient, call }: DockerConnection): DockerNetworks {
  const exists = async (name: string): Promise<boolean> => {
    const filters = { name: [name], scope: ['swarm'] };
    const found = await call(`look for network ${name}`, () => impatient.listNetworks({ filters }));
    // Docker looks for parts of names.
    return found.some(({ Name }) => Name === name);
  };

  return {
    ensureNetwork: async ({ name, labels }) => {
      if (await exists(name)) return;
      const wanted = { Name: name, Driver: 'overlay', CheckDuplicate: true, Labels: { ...labels } };
      try {
        await call(`create network ${name}`, (abortSignal) => client.createNetwork({ ...wanted, abortSignal }));
      } catch (error) {
        // Another host was quicker, or an earlier attempt that seemed to fail was carried out after all.
        if (!isTaken(error)) throw error;
      }
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
