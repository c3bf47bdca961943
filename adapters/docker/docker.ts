import { createDockerBuildCache, type DockerBuildCache } from './build-cache.ts';
import { createDockerBuilds, type DockerBuilds } from './builds.ts';
import { type CarriedImages, createCarriedImages } from './carried-images.ts';
import { createDockerConnection } from './connection.ts';
import { createDockerContainers, type DockerContainers } from './containers.ts';
import { createDockerDisk, type DockerDisk } from './disk.ts';
import { createDockerEvents, type DockerEvents } from './events.ts';
import { createDockerHealth, type DockerHealth } from './health.ts';
import { createDockerImageRetention, type DockerImageRetention } from './image-retention.ts';
import { createDockerImages, type DockerImages } from './images.ts';
import { createDockerLogs, type DockerLogs } from './logs.ts';
import { createDockerNetworks, type DockerNetworks } from './networks.ts';
import { createDockerOrphans, type DockerOrphans } from './orphans.ts';
import { createOwnImages, type OwnImages } from './own-images.ts';
import { createPullRecords, type PullRecords } from './pull-records.ts';
import { createPushedImages, type PushedImages } from './pushed-images.ts';
import { recordBaseImages } from './recorded-images.ts';
import { createDockerVolumeArchives, type DockerVolumeArchives } from './volume-archives.ts';
import { createDockerVolumes, type DockerVolumes } from './volumes.ts';

/** One node's Docker daemon, as one installation sees it. */
export type Docker = DockerImages &
  CarriedImages &
  PushedImages &
  DockerNetworks &
  DockerOrphans &
  DockerVolumes &
  DockerVolumeArchives &
  DockerContainers &
  DockerLogs &
  DockerEvents &
  DockerBuilds &
  DockerDisk &
  DockerImageRetention &
  DockerBuildCache &
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
  /** Called just before anything is changed on the daemon; what it throws, the change fails of. */
  readonly beforeChange?: (() => void) | undefined;
  /** What registries gave to whom; without them it is forgotten with this process. */
  readonly records?: PullRecords | undefined;
  /** Which images this installation has brought; without them it is forgotten with this process. */
  readonly ownImages?: OwnImages | undefined;
  /** Silence after which a call to a registry counts as hung, milliseconds; else two minutes. */
  readonly registrySilenceMs?: number | undefined;
}

/** A call to a registry that says nothing for this long has hung: its slowest answer takes three tries of 15 s each. */
const REGISTRY_SILENCE_MS = 120_000;

/** Creates the adapter without touching the daemon, which may be away. */
export function createDocker(options: DockerOptions): Docker {
  const connection = createDockerConnection(options);
  const { instance, registrySilenceMs = REGISTRY_SILENCE_MS } = options;
  const own = options.ownImages ?? createOwnImages();
  const networks = createDockerNetworks(connection);
  return {
    ...createDockerImages(connection, {
      ...{ instance, registrySilenceMs, own },
      records: options.records ?? createPullRecords(),
    }),
    ...createCarriedImages(connection, { instance, own }),
    ...createPushedImages(connection, { instance, registrySilenceMs }),
    ...networks,
    ...createDockerOrphans(connection, networks),
    ...createDockerVolumes(connection),
    ...createDockerVolumeArchives(connection, options),
    ...createDockerContainers(connection, options),
    ...createDockerLogs(connection),
    ...createDockerEvents(connection, options.instance),
    ...recordBaseImages(createDockerBuilds(connection), { docker: connection, own }),
    ...createDockerDisk(connection),
    ...createDockerImageRetention(connection, { instance, own }),
    ...createDockerBuildCache(connection),
    ...createDockerHealth(connection),
  };
}
