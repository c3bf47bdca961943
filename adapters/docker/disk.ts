import { statfs } from 'node:fs/promises';
import type { DiskSpace } from '../../domain/disk-guard.ts';
import type { DockerConnection } from './connection.ts';

/** The disk of one daemon. */
export interface DockerDisk {
  /**
   * Free space where the daemon keeps images and layers, bytes.
   *
   * @throws DOCKER_UNAVAILABLE while the daemon has not said where that is.
   */
  freeBytes(): Promise<number>;
  /** The same with the size of that disk: what is written and what may be, as `df` counts. @throws as above */
  measureDisk(): Promise<DiskSpace>;
}

/**
 * Creates the part of the adapter that looks at the disk. The daemon tells where its files are, once, and no more: the
 * rest is asked of the file system. In a container of that daemon the folder is not there; its `/` is on the same disk.
 */
export function createDockerDisk(docker: DockerConnection): DockerDisk {
  let folder: string | undefined;
  const measureDisk = async (): Promise<DiskSpace> => {
    folder ??= String((await docker.call('ask docker for its folder', () => docker.impatient.info())).DockerRootDir);
    const { bavail, bfree, blocks, bsize } = await statfs(folder).catch(() => statfs('/'));
    return { freeBytes: bavail * bsize, totalBytes: (blocks - bfree + bavail) * bsize };
  };
  return { measureDisk, freeBytes: async () => (await measureDisk()).freeBytes };
}
