import { LABEL } from '../../domain/naming.ts';
import type { LabelledThing } from '../../domain/retention/orphans.ts';
import { type DockerConnection, statusOf } from './connection.ts';
import type { DockerNetworks } from './networks.ts';

/** What one daemon has of installations of the platform. */
export interface DockerOrphans {
  /** Lists the containers, running or not, and networks that carry the label of an installation, of whichever. */
  listLabelled(): Promise<readonly LabelledThing[]>;
  /** Removes a network by its id unless a container is attached to it. @returns whether it is gone */
  removeNetworkById(network: { readonly id: string; readonly name: string }): Promise<boolean>;
}

/** Creates the part of the adapter that deals with what nobody may own any more. */
export function createDockerOrphans(
  { client, call }: DockerConnection,
  { forgetNetwork }: Pick<DockerNetworks, 'forgetNetwork'>,
): DockerOrphans {
  const filters = { label: [LABEL.instance] };
  return {
    listLabelled: async () => {
      const containers = await call('list containers of installations', (abortSignal) =>
        client.listContainers({ all: true, filters, abortSignal }),
      );
      const networks = await call('list networks of installations', (abortSignal) =>
        client.listNetworks({ filters, abortSignal }),
      );
      return [
        ...containers.map(({ Id: id, Names, Labels: labels, Created }) => ({
          ...{ kind: 'container' as const, id, labels, createdAtMs: Created * 1_000 },
          // A container that others link to has their names as well; its own has no further slash.
          name: (Names.find((name) => name.lastIndexOf('/') === 0) ?? '').slice(1),
        })),
        ...networks.map(({ Id: id, Name: name, Labels: labels, Created }) => ({
          ...{ kind: 'network' as const, id, name, labels: labels ?? {}, createdAtMs: Date.parse(Created) },
        })),
      ];
    },
    removeNetworkById: async ({ id, name }) => {
      // Whoever needs it again asks for it again, from before it goes.
      forgetNetwork(name);
      try {
        await call(`remove network ${id}`, (abortSignal) => client.getNetwork(id).remove({ abortSignal }));
        return true;
      } catch (error) {
        if (statusOf(error) === 404) return true;
        if (statusOf(error) === 403) return false;
        throw error;
      } finally {
        forgetNetwork(name);
      }
    },
  };
}
