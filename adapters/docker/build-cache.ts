import type { RemovedCache } from '../../contracts/node-retention.ts';
import type { DockerConnection } from './connection.ts';
import { callDaemon, readDiskUsage } from './disk-usage.ts';

/** Removing gigabytes of small files takes minutes on a slow disk. */
const PRUNE_MS = 10 * 60_000;

/** The build cache of one daemon. It does not tell who filled it. */
export interface DockerBuildCache {
  /**
   * Lets the daemon cut its build cache down to so many bytes, what was used longest ago first; what is in use stays.
   *
   * @throws REPLICA_CONFLICT while somebody else prunes it, DOCKER_UNAVAILABLE.
   */
  pruneBuildCache(keepBytes: number): Promise<RemovedCache>;
  /** What that would free by the daemon's account: which records go is the daemon's to say, so none are counted. */
  measureBuildCache(keepBytes: number): Promise<RemovedCache>;
}

/** Creates the part of the adapter that deals with the build cache. */
export function createDockerBuildCache(docker: DockerConnection): DockerBuildCache {
  return {
    pruneBuildCache: async (keepBytes) => {
      // Daemons from API 1.48 on call the bound differently.
      const path = `/build/prune?all=1&keep-storage=${keepBytes}&reserved-space=${keepBytes}`;
      const pruned = await callDaemon<{ CachesDeleted?: string[] | null; SpaceReclaimed?: number }>(docker, {
        ...{ path, method: 'POST', timeoutMs: PRUNE_MS },
      });
      return { removed: pruned.CachesDeleted?.length ?? 0, bytesFreed: pruned.SpaceReclaimed ?? null };
    },
    measureBuildCache: async (keepBytes) => {
      const { buildCache } = await readDiskUsage(docker, 'build-cache');
      const sum = (records: typeof buildCache): number => records.reduce((total, { bytes }) => total + bytes, 0);
      const free = sum(buildCache.filter(({ isInUse, isShared }) => !isInUse && !isShared));
      return { removed: 0, bytesFreed: Math.max(0, Math.min(free, sum(buildCache) - keepBytes)) };
    },
  };
}
