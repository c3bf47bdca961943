import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { Totals } from '../../domain/metrics/totals.ts';
import type {
  ContainerSample,
  MetricTotalsSchema,
  RequestSample,
  StreamMetricsResponseSchema,
} from '../../gen/obiente/cloud/v1/metrics_pb.ts';
import type { Freshness } from './merge-ticks.ts';
import { toCursor } from './stream-cursor.ts';
import { type Handed, isContainer } from './stream-metrics.ts';

/** A tick as it goes to a subscriber. */
export function toLiveMessage(
  handed: Handed & { readonly wasSlow: boolean },
): MessageInitShape<typeof StreamMetricsResponseSchema> {
  const [samples, requests]: [ContainerSample[], RequestSample[]] = [[], []];
  for (const item of handed.samples) {
    if (isContainer(item)) samples.push(item);
    else requests.push(item);
  }
  return {
    samples,
    requests,
    missedRounds: BigInt(handed.missedRounds),
    backfill: handed.isPast,
    nodes: handed.nodes.map(toFreshness),
    cursor: toCursor(handed.position),
    slow: handed.wasSlow,
    ...(handed.totals ? { totals: toTotals(handed.totals) } : {}),
  };
}

function toFreshness({ nodeId, isStale, heardAtMs, intervalMs, degradationLevel = 0 }: Freshness) {
  const heardAt = heardAtMs === null ? {} : { heardAt: timestampFromMs(heardAtMs) };
  return { nodeId, stale: isStale, intervalMs: BigInt(intervalMs), degradationLevel, ...heardAt };
}

function toTotals(totals: Totals): MessageInitShape<typeof MetricTotalsSchema> {
  const rates = {
    cpuPercent: totals.cpuPercent,
    networkReceiveRate: totals.networkReceiveRate,
    networkTransmitRate: totals.networkTransmitRate,
    diskReadRate: totals.diskReadRate,
    diskWriteRate: totals.diskWriteRate,
  };
  return {
    replicas: totals.replicas,
    missingReplicaIds: [...totals.missingReplicaIds],
    memoryBytes: BigInt(totals.memoryBytes),
    memoryLimitBytes: BigInt(totals.memoryLimitBytes),
    pids: BigInt(totals.pids),
    ...Object.fromEntries(Object.entries(rates).filter(([, rate]) => rate !== null)),
  };
}
