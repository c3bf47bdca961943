import { type DockerConnection, statusOf } from './connection.ts';

/** The private networks of one daemon. */
export interface DockerNetworks {
  /** Makes a bridge network exist. Safe to run twice, and many times at once: the name decides. */
  ensureNetwork(network: { name: string; labels: Readonly<Record<string, string>> }): Promise<void>;
  /** Says that a network once ensured may be gone. */
  forgetNetwork(name: string): void;
  /** Removes a network unless a container is attached to it; one that does not exist counts as removed. */
  removeNetworkIfUnused(name: string): Promise<void>;
}

/** Creates the part of the adapter that deals with networks. Each is asked for once; forgetting it asks again. */
export function createDockerNetworks(docker: DockerConnection): DockerNetworks {
  const ensured = new Map<string, Promise<void>>();

  const ensure = async (name: string, labels: Readonly<Record<string, string>>): Promise<void> => {
    if (await exists(docker, name)) return;
    try {
      await docker.call(`create network ${name}`, (abortSignal) =>
        docker.client.createNetwork({
          Name: name,
          Driver: 'bridge',
          CheckDuplicate: true,
          Labels: { ...labels },
          abortSignal,
        }),
      );
    } catch (error) {
      // Somebody was quicker, or an earlier attempt that seemed to fail was carried out after all.
      if (statusOf(error) !== 409) throw error;
    }
  };

  return {
    ensureNetwork: ({ name, labels }) => {
      const known = ensured.get(name);
      if (known) return known;
      const attempt = ensure(name, labels).catch((error: unknown) => {
        ensured.delete(name);
        throw error;
      });
      ensured.set(name, attempt);
      return attempt;
    },
    forgetNetwork: (name) => {
      ensured.delete(name);
    },
    removeNetworkIfUnused: async (name) => {
      ensured.delete(name);
      try {
        await docker.call(`remove network ${name}`, (abortSignal) =>
          docker.client.getNetwork(name).remove({ abortSignal }),
        );
      } catch (error) {
        // 403: containers of another deployment are attached to it.
        if (statusOf(error) !== 404 && statusOf(error) !== 403) throw error;
      }
    },
  };
}

async function exists(docker: DockerConnection, name: string): Promise<boolean> {
  try {
    await docker.call(`look for network ${name}`, () => docker.impatient.getNetwork(name).inspect());
    return true;
  } catch (error) {
    if (statusOf(error) === 404) return false;
    throw error;
  }
}
