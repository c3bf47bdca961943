import { totalmem } from 'node:os';
import { createBuildImage } from '../../activities/build-image.ts';
import { createEnsureReplica } from '../../activities/ensure-replica.ts';
import { withFailures } from '../../activities/failures.ts';
import type { DaemonWatch, ReplicaPorts } from '../../activities/node-ports.ts';
import { createRemoveLeftovers } from '../../activities/remove-leftovers.ts';
import { createRemoveReplica } from '../../activities/remove-replica.ts';
import { createRemoveVolume } from '../../activities/remove-volume.ts';
import { createVolumeSnapshots, type SnapshotPorts } from '../../activities/volume-snapshots.ts';
import { createWatchNode } from '../../activities/watch-node.ts';
import type { Docker } from '../../adapters/docker/docker.ts';
import { createProber } from '../../adapters/probe/prober.ts';
import type { WorkerOptions } from '../../adapters/temporal/worker.ts';
import { buildQueue, nodeQueue } from '../../contracts/task-queues.ts';
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
  readonly config: { readonly OBIENTE_INSTANCE: string; readonly NODE_ADDRESS: string };
  readonly keys: NodeKeys;
  readonly docker: Docker;
  readonly daemon: DaemonWatch;
  readonly hub: ContainerHub;
  readonly keeper: RestartKeeper;
  readonly monitor: HealthMonitor;
  readonly snapshots: SnapshotPorts['files'];
  readonly cores: number;
  /** Runs a start when one of the few that may run at a time is free. */
  readonly startSlot: ReplicaPorts['startSlot'];
}

/** Says what this node's two workers poll for: replicas, and one build at a time. */
export function nodeQueues(parts: NodeParts): readonly WorkerOptions[] {
  const { config, keys, docker, daemon, hub, keeper, monitor, snapshots, cores, startSlot } = parts;
  const instance = config.OBIENTE_INSTANCE;
  const replica = {
    instance,
    nodeAddress: config.NODE_ADDRESS,
    runtime: docker,
    prober: createProber(),
    fetchEnvironment: keys.openEnvironment,
    fetchRegistryCredential: keys.openRegistryCredential,
    restarts: keeper,
    startSlot,
    onContainerChange: hub.onContainerChange,
    foundHealthy: monitor.foundHealthy,
  };
  const build = {
    instance,
    limits: { cpuCores: Math.max(1, cores / 2), memoryBytes: Math.floor(totalmem() / 2) },
    fetchContext: keys.control.fetchContext,
    fetchBuildArguments: keys.openBuildArguments,
    buildImage: docker.buildImage,
  };
  return [
    {
      taskQueue: nodeQueue(keys.nodeId),
      activities: withFailures({
        ...createEnsureReplica(replica),
        ...createRemoveReplica(replica),
        ...createRemoveLeftovers(replica),
        ...createRemoveVolume(replica),
        ...createVolumeSnapshots({ instance, runtime: docker, files: snapshots }),
        ...createWatchNode(daemon),
      }),
      maxActivities: MOST_ACTIVITIES,
    },
    { taskQueue: buildQueue(keys.nodeId), activities: withFailures(createBuildImage(build)), maxActivities: 1 },
  ];
}
