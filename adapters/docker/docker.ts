import { createDockerBuilds, type DockerBuilds } from './builds.ts';
import { createDockerConnection } from './connection.ts';
import { createDockerContainers, type DockerContainers } from './containers.ts';
import { createDockerEvents, type DockerEvents } from './events.ts';
import { createDockerHealth, type DockerHealth } from './health.ts';
import { createDockerImages, type DockerImages } from './images.ts';
import { createDockerLogs, type DockerLogs } from './logs.ts';
import { createDockerNetworks, type DockerNetworks } from './networks.ts';
import { createPullRecords, type PullRecords } from './pull-records.ts';
import { createDockerVolumeArchives, type DockerVolumeArchives } from './volume-archives.ts';
import { createDockerVolumes, type DockerVolumes } from './volumes.ts';

/** One node's Docker daemon, as one installation sees it. */
export type Docker = DockerImages &
  DockerNetworks &
  DockerVolumes &
  DockerVolumeArchives &
  DockerContainers &
  DockerLogs &
  DockerEvents &
  DockerBuilds &
  DockerHealth;

/** Where the daemon is, and whose containers on it are ours. */
export interface DockerOptions {
  readonly socketPath: string;
  /** Instance id, in the labels of everything that is made. */
  readonly instance: string;
  /** Address on which ports are published. */
  readonly nodeAddress: string;
  /** Deadline of an ordinary call, milliseconds. */
  readonly requestTimeoutMs: number;
  /** What registries gave to whom; without them it is forgotten with this process. */
  readonly records?: PullRecords | undefined;
  /** Silence after which a call to a registry counts as hung, milliseconds; else two minutes. */
  readonly registrySilenceMs?: number | undefined;
}

/** Creates the adapter without touching the daemon, which may be away. */
export function createDocker(options: DockerOptions): Docker {
  const connection = createDockerConnection(options);
  return {
    ...createDockerImages(connection, { ...options, records: options.records ?? createPullRecords() }),
    ...createDockerNetworks(connection),
    ...createDockerVolumes(connection),
    ...createDockerVolumeArchives(connection, options),
    ...createDockerContainers(connection, options),
    ...createDockerLogs(connection),
    ...createDockerEvents(connection, options.instance),
    ...createDockerBuilds(connection),
    ...createDockerHealth(connection),
  };
}
