import type Dockerode from 'dockerode';
import { LABEL } from '../../domain/naming.ts';

/** Removes all that an installation has on a daemon: what was deployed outlives the platform that has ended early. */
export async function removeInstance(client: Dockerode, instance: string): Promise<void> {
  const filters = { label: [`${LABEL.instance}=${instance}`] };
  for (const { Id } of await client.listContainers({ all: true, filters })) {
    await client.getContainer(Id).remove({ force: true, v: true });
  }
  for (const { Id } of await client.listNetworks({ filters })) await client.getNetwork(Id).remove();
  const { Volumes: volumes } = await client.listVolumes({ filters });
  for (const { Name } of volumes ?? []) await client.getVolume(Name).remove();
  for (const { Id } of await client.listImages({ filters })) await client.getImage(Id).remove({ force: true });
}
