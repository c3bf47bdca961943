import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { Sample } from '../domain/metrics/reading.ts';
import { type ContainerSample, ContainerSampleSchema } from '../gen/obiente/cloud/v1/metrics_pb.ts';

/** A sample as it goes to callers. */
export function toContainerSample(sample: Sample, nodeId: string): ContainerSample {
  const { counters } = sample;
  return create(ContainerSampleSchema, {
    at: timestampFromMs(sample.atMs),
    deploymentId: sample.deploymentId,
    replicaId: sample.replicaId,
    nodeId,
    containerId: sample.containerId,
    ...(sample.cpuPercent === null ? {} : { cpuPercent: sample.cpuPercent }),
    cpuUsageNanos: BigInt(counters.cpuNanos),
    memoryBytes: BigInt(sample.memoryBytes),
    memoryLimitBytes: BigInt(sample.memoryLimitBytes),
    networkReceiveBytes: BigInt(counters.networkReceiveBytes),
    networkTransmitBytes: BigInt(counters.networkTransmitBytes),
    diskReadBytes: BigInt(counters.diskReadBytes),
    diskWriteBytes: BigInt(counters.diskWriteBytes),
    pids: sample.pids,
  });
}
