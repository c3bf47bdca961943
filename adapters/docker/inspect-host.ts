import { statfs } from 'node:fs/promises';
import type { HostFacts } from '../../domain/host-checks.ts';
import { createDockerConnection } from './connection.ts';

/** Nobody waits longer for a daemon that hangs. */
const TIMEOUT_MS = 10_000;

/** What a daemon says of itself and its host. */
export type DockerHost = Omit<HostFacts, 'clockAheadMs' | 'server'>;

const NOTHING: DockerHost = {
  ...{ dockerProblem: '', dockerVersion: '', apiVersion: '', liveRestore: false, isInSwarm: false },
  ...{ cgroupDriver: '', cgroupVersion: '', storageDriver: '', osType: '', architecture: '', rootDir: '', disk: null },
};

/** Asks a daemon for what its host must have to be a node. Never throws: why it cannot be asked is part of the answer. */
export async function inspectDockerHost(socketPath: string): Promise<DockerHost> {
  const { call, impatient } = createDockerConnection({ socketPath, requestTimeoutMs: TIMEOUT_MS });
  try {
    const [info, version] = await Promise.all([
      call('ask docker for its host', () => impatient.info()),
      call('ask docker for its version', () => impatient.version()),
    ]);
    const rootDir = String(info.DockerRootDir ?? '');
    return {
      dockerProblem: '',
      dockerVersion: String(info.ServerVersion ?? ''),
      apiVersion: version.ApiVersion,
      liveRestore: info.LiveRestoreEnabled === true,
      isInSwarm: info.Swarm?.LocalNodeState === 'active',
      cgroupDriver: String(info.CgroupDriver ?? ''),
      cgroupVersion: String(info.CgroupVersion ?? '1'),
      storageDriver: String(info.Driver ?? ''),
      osType: String(info.OSType ?? ''),
      architecture: String(info.Architecture ?? ''),
      rootDir,
      disk: await measure(rootDir),
    };
  } catch (error) {
    return { ...NOTHING, dockerProblem: error instanceof Error ? error.message : String(error) };
  }
}

async function measure(path: string): Promise<DockerHost['disk']> {
  try {
    const { bavail, blocks, bsize } = await statfs(path);
    return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
  } catch {
    // The daemon's folder is not to be seen from here; only the judgement of its disk is missing then.
    return null;
  }
}
