import { createLimiter } from '../limits/limiter.ts';
import { type DockerConnection, statusOf } from './connection.ts';

/** The private networks of one daemon. */
export interface DockerNetworks {
  /** Makes a bridge network exist. Safe to run twice, and many times at once: the name decides. */
  ensureNetwork(network: { name: string; labels: Readonly<Record<string, string>> }): Promise<void>;
  /** Says that a network once ensured may be gone. */
  forgetNetwork(name: string): void;
  /** Removes a network unless a container is attached to it; one that does not exist counts as removed. */
  removeNetworkIfUnused(name: string): Promise<void>;
  /**
   * Attaches a container to those of its networks that the daemon has lost it from, under the names that it had there and
   * with its ports published anew, mostly under others. What runs in it goes on.
   *
   * @returns whether there was one; `false` leaves all as it is. @throws NOT_FOUND, INSUFFICIENT_CAPACITY on a full disk
   */
  reattach(containerId: string): Promise<boolean>;
}

/** Creates the part of the adapter that deals with networks. Each is asked for once; forgetting it asks again. */
export function createDockerNetworks(docker: DockerConnection): DockerNetworks {
  const ensured = new Map<string, Promise<void>>();
  // Docker makes two of a name that are asked for at one moment.
  const inTurn = createLimiter(1);

  const ensure = async (name: string, labels: Readonly<Record<string, string>>): Promise<void> => {
    if (await existsOnce(docker, name)) return;
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
      const attempt = inTurn(name, () => ensure(name, labels)).catch((error: unknown) => {
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
        await inTurn(name, () =>
          docker.call(`remove network ${name}`, (abortSignal) =>
            docker.client.getNetwork(name).remove({ abortSignal }),
          ),
        );
      } catch (error) {
        // 403: containers of another deployment are attached to it.
        if (statusOf(error) !== 404 && statusOf(error) !== 403) throw error;
      }
    },
    reattach: async (id) => {
      const look = () => docker.impatient.getContainer(id).inspect();
      const { NetworkSettings: settings } = await docker.call(`look for container ${id}`, look);
      let isLost = false;
      for (const [name, { Aliases }] of Object.entries(settings.Networks)) {
        const network = docker.impatient.getNetwork(name);
        const { Containers } = await docker.call(`look for network ${name}`, () => network.inspect());
        if (Containers?.[id]) continue;
        isLost = true;
        const again = { Container: id, EndpointConfig: { Aliases } };
        await docker.call(`attach container ${id} to network ${name}`, () => network.connect(again));
      }
      return isLost;
    },
  };
}

/** Whether a network exists; of several of its name one is left. */
async function existsOnce(docker: DockerConnection, name: string): Promise<boolean> {
  try {
    return await exists(docker, name);
  } catch (error) {
    // Docker's answer where a name stands for several.
    if (statusOf(error) !== 400) throw error;
    await settle(docker, name);
    return await exists(docker, name);
  }
}

/**
 * Leaves one of several networks of a name, by which Docker finds none of them: the one that containers are attached to,
 * else the oldest. An attempt that timed out may have been carried out beside the next one.
 */
async function settle(docker: DockerConnection, name: string): Promise<void> {
  const listed = await docker.call(`list networks ${name}`, () =>
    docker.impatient.listNetworks({ filters: { name: [name] } }),
  );
  const same = listed.filter((network) => network.Name === name);
  if (same.length < 2) return;
  const networks = await Promise.all(
    same.map(({ Id }) => docker.call(`look for network ${Id}`, () => docker.impatient.getNetwork(Id).inspect())),
  );
  const isUsed = (network: { readonly Containers?: object | undefined }): boolean =>
    Object.keys(network.Containers ?? {}).length > 0;
  const [, ...others] = networks.toSorted(
    (a, b) => Number(isUsed(b)) - Number(isUsed(a)) || Date.parse(a.Created) - Date.parse(b.Created),
  );
  for (const { Id } of others.filter((network) => !isUsed(network))) {
    await docker.call(`remove network ${Id}`, (abortSignal) => docker.client.getNetwork(Id).remove({ abortSignal }));
  }
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
