import type { DockerConnection } from './connection.ts';

/** Whether a daemon keeps images in containerd's store. Docker's own knows digests from registries only, that one of every image. */
export async function isContainerdStore(docker: DockerConnection): Promise<boolean> {
  const { DriverStatus: status } = await docker.call('ask docker for its store', () => docker.impatient.info());
  const facts: readonly (readonly string[])[] = Array.isArray(status) ? status : [];
  return facts.some(([name, value]) => name === 'driver-type' && value?.startsWith('io.containerd.'));
}
