import { totalmem } from 'node:os';
import { createBuildImage } from '../../activities/build-image.ts';
import { createSlots } from '../../activities/build-slots.ts';
import { createCarryVolume } from '../../activities/carry-volume.ts';
import { createEnsureReplica } from '../../activities/ensure-replica.ts';
import { withFailures } from '../../activities/failures.ts';
import type { GitPorts } from '../../activities/git-ports.ts';
import { createLookAtContainers } from '../../activities/look-at-containers.ts';
import type { BuildPorts, DaemonWatch, DiskWatch, NixpacksPort, ReplicaPorts } from '../../activities/node-ports.ts';
import { createReadSource } from '../../activities/read-source.ts';
import { createRemoveLeftovers } from '../../activities/remove-leftovers.ts';
import { createRemoveReplica } from '../../activities/remove-replica.ts';
import { createRemoveVolume } from '../../activities/remove-volume.ts';
import { createResolveSource } from '../../activities/resolve-source.ts';
import { createRetainImages } from '../../activities/retain-images.ts';
import { createRetainOrphans } from '../../activities/retain-orphans.ts';
import { createVolumeSnapshots, type SnapshotPorts } from '../../activities/volume-snapshots.ts';
import { createWatchNode } from '../../activities/watch-node.ts';
import type { Docker } from '../../adapters/docker/docker.ts';
import type { ArrivingFiles } from '../../adapters/files/arriving-files.ts';
import { openVolume } from '../../adapters/node-client/open-export.ts';
import { createProber } from '../../adapters/probe/prober.ts';
import { packSite } from '../../adapters/sources/pack-site.ts';
import type { WorkerOptions } from '../../adapters/temporal/worker.ts';
import type { NodeConfig } from '../../config/node.ts';
import { buildQueue, nodeQueue } from '../../contracts/task-queues.ts';
import type { BuildRegistry } from './build-registry.ts';
import { createBuiltImages } from './built-images.ts';
import type { ContainerHub } from './container-hub.ts';
import type { HealthMonitor } from './health-monitor.ts';
import type { NodeKeys } from './keys.ts';
import type { RestartKeeper } from './restart-keeper.ts';

/**
 * Most activities of a replica's life only wait for its health, so many may be under way: a batch of a hundred starts
 * must not wait to be picked up until others are healthy. What loads the host is bounded by the slots for starts.
 */
const MOST_ACTIVITIES = 200;

/** What the activities of a node are made of. */
export interface NodeParts {
  readonly config: NodeConfig;
  readonly keys: NodeKeys;
  readonly docker: Docker;
  readonly git: GitPorts;
  /** `null`: this node has none. */
  readonly nixpacks: NixpacksPort | null;
  /** Where built images are pushed to; `null`: nodes send them to each other. */
  readonly registry: BuildRegistry | null;
  readonly daemon: DaemonWatch;
  readonly disk: DiskWatch;
  readonly hub: ContainerHub;
  readonly keeper: RestartKeeper;
  readonly monitor: HealthMonitor;
  readonly snapshots: SnapshotPorts['files'];
  readonly arrivals: ArrivingFiles;
  readonly cores: number;
  /** Runs a start when one of the few that may run at a time is free. */
  readonly startSlot: ReplicaPorts['startSlot'];
}

/** Says what this node's two workers poll for: replicas, and builds, which then wait here for one of few places. */
export function nodeQueues(parts: NodeParts): readonly WorkerOptions[] {
  const {
    config,
    keys,
    docker,
    git,
    nixpacks,
    registry,
    daemon,
    disk,
    hub,
    keeper,
    monitor,
    snapshots,
    startSlot,
    arrivals,
  } = parts;
  const instance = config.OBIENTE_INSTANCE;
  const replica = {
    instance,
    nodeAddress: config.NODE_ADDRESS,
    runtime: docker,
    prober: createProber(),
    fetchEnvironment: keys.openEnvironment,
    fetchRegistryCredential: keys.openRegistryCredential,
    ensureBuiltImage: createBuiltImages({ instance, docker, control: keys.control, registry, files: arrivals }),
    restarts: keeper,
    daemon,
    keepFailureLog: keys.control.reportFailure,
    startSlot,
    onContainerChange: hub.onContainerChange,
    foundHealthy: monitor.foundHealthy,
  };
  const build = {
    instance,
    limits: buildLimits(parts),
    slots: createSlots(config.BUILDS_PER_NODE),
    fetchEnvironment: keys.openEnvironment,
    reportBuild: keys.control.reportBuild,
    fetchContext: keys.control.fetchContext,
    git,
    nixpacks,
    site: { image: config.STATIC_SITE_IMAGE, folder: config.STATIC_SITE_FOLDER, pack: packSite },
    fetchBuildArguments: keys.openBuildArguments,
    buildImage: docker.buildImage,
    ...(registry ? { publish: createPublish(docker, registry) } : {}),
  };
  return [
    {
      taskQueue: nodeQueue(keys.nodeId),
      activities: withFailures({
        ...createEnsureReplica(replica),
        ...createRemoveReplica(replica),
        ...createRemoveLeftovers({ ...replica, git }),
        ...createResolveSource(git),
        ...createRetainImages(docker),
        ...createRetainOrphans({
          ...replica,
          restarts: keeper,
          findOwned: keys.control.findOwned,
          now: () => new Date(),
        }),
        ...createRemoveVolume(replica),
        ...createVolumeSnapshots({ instance, runtime: docker, files: snapshots }),
        ...createCarryVolume({
          ...{ instance, runtime: docker, disk },
          fetchVolumeSource: keys.control.fetchVolumeSource,
          openVolume,
        }),
        ...createWatchNode(daemon, disk),
        ...createLookAtContainers(instance, docker),
      }),
      maxActivities: MOST_ACTIVITIES,
    },
    {
      taskQueue: buildQueue(keys.nodeId),
      activities: withFailures({
        ...createBuildImage(build),
        ...createReadSource({ git, reportComposeFile: keys.control.reportComposeFile }),
      }),
      maxActivities: MOST_ACTIVITIES,
    },
  ];
}

function createPublish(
  docker: Docker,
  { credential, repositoryOf }: BuildRegistry,
): NonNullable<BuildPorts['publish']> {
  return async ({ deploymentId, revision, service, imageId, signal }) => {
    const target = { repository: repositoryOf(deploymentId), tag: `r${revision}-${service}`, credential };
    return await docker.pushImage({ deploymentId, imageId, ...target, signal });
  };
}

/** All builds together get half of the host, so that replicas keep the other half. */
function buildLimits({ config, docker, cores }: NodeParts) {
  const share = 1 / (2 * config.BUILDS_PER_NODE);
  return {
    cpuCores: Math.max(1, cores * share),
    memoryBytes: Math.floor(totalmem() * share),
    timeoutMs: config.BUILD_TIMEOUT,
    disk: {
      minFreeBytes: config.BUILD_MIN_FREE_DISK,
      maxWrittenBytes: config.BUILD_MAX_DISK,
      freeBytes: docker.freeBytes,
    },
  };
}
