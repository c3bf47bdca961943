import { statfs } from 'node:fs/promises';
import type { DockerConnection } from './connection.ts';

/** The disk of one daemon. */
export interface DockerDisk {
  /**
   * Free space where the daemon keeps images and layers, bytes.
   *
   * @throws DOCKER_UNAVAILABLE while the daemon has not said where that is.
   */
  freeBytes(): Promise<number>;
}

/**
 * Creates the part of the adapter that looks at the disk. The daemon tells where its files are, once, and no more: the
 * rest is asked of the file system. In a container of that daemon the folder is not there; its `/` is on the same disk.
 */
export function createDockerDisk(docker: DockerConnection): DockerDisk {
  let folder: string | undefined;
  return {
    freeBytes: async () => {
      folder ??= String((await docker.call('ask docker for its folder', () => docker.impatient.info())).DockerRootDir);
      const { bavail, bsize } = await statfs(folder).catch(() => statfs('/'));
      return bavail * bsize;
    },
  };
}
