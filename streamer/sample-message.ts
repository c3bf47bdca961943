import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { type ContainerSample, ContainerSampleSchema } from '../gen/obiente/cloud/v1/metrics_pb.ts';
import type { LiveSample } from './live-cache.ts';

/** A sample as it goes to callers. */
export function toContainerSample(sample: LiveSample, nodeId: string): ContainerSample {
  const { counters } = sample;
  return create(ContainerSampleSchema, {
    at: timestampFromMs(sample.atMs),
    deploymentId: sample.deploymentId,
    replicaId: sample.replicaId,
    nodeId,
    containerId: sample.containerId,
    ...(sample.cpuPercent === null ? {} : { cpuPercent: sample.cpuPercent }),
    cpuUsageNanos: BigInt(counters.cpuNanos),
    cpuUserNanos: BigInt(counters.cpuUserNanos),
    cpuSystemNanos: BigInt(counters.cpuSystemNanos),
    cpuThrottledNanos: BigInt(counters.cpuThrottledNanos),
    memoryBytes: BigInt(sample.memoryBytes),
    memoryLimitBytes: BigInt(sample.memoryLimitBytes),
    pageCacheBytes: BigInt(sample.pageCacheBytes),
    networkReceiveBytes: BigInt(counters.networkReceiveBytes),
    networkTransmitBytes: BigInt(counters.networkTransmitBytes),
    networkReceivePackets: BigInt(counters.networkReceivePackets),
    networkTransmitPackets: BigInt(counters.networkTransmitPackets),
    diskReadBytes: BigInt(counters.diskReadBytes),
    diskWriteBytes: BigInt(counters.diskWriteBytes),
    diskReadOperations: BigInt(counters.diskReadOperations),
    diskWriteOperations: BigInt(counters.diskWriteOperations),
    oomKills: BigInt(counters.oomKills),
    pids: sample.pids,
    startedAt: timestampFromMs(sample.startedAtMs),
  });
}
