import { timestampMs } from '@bufbuild/protobuf/wkt';
import { type Aggregation, drawCourse, type Series, type UseRow } from '../../domain/metrics/course.ts';
import { toUseRows } from '../../domain/metrics/live-use.ts';
import { type Kept, planSteps, type QueryWish, STEP_MS, type Steps } from '../../domain/metrics/query.ts';
import { drawRequests, type RequestRow, type RequestStep } from '../../domain/metrics/request-course.ts';
import type { ContainerSample } from '../../gen/obiente/cloud/v1/metrics_pb.ts';

/** Whose course, in which range: from a moment on, up to and without another. */
export interface StoredRange {
  readonly deploymentId: string;
  /** Only these; `undefined` means all. */
  readonly replicaIds: readonly string[] | undefined;
  readonly fromMs: number;
  readonly toMs: number;
}

/** What is stored. Every method throws DATABASE_UNAVAILABLE. */
export interface StoredMetrics {
  listMinutes(range: StoredRange): Promise<readonly UseRow[]>;
  /** Hours, of those not summed up yet what is known. */
  listHours(range: StoredRange): Promise<readonly UseRow[]>;
  listRequestMinutes(range: StoredRange): Promise<readonly RequestRow[]>;
}

/** What a query needs of the world. */
export interface QueryDeps {
  readonly stored: StoredMetrics;
  /** The samples of the last minutes, from all nodes of the deployment. */
  readonly readLive: (deploymentId: string) => Promise<readonly ContainerSample[]>;
  /** The replicas of a service that are known, gone ones included as far as they are. */
  readonly findReplicaIds: (deploymentId: string, service: string) => Promise<readonly string[]>;
  readonly kept: Kept;
  readonly now: () => number;
}

/** What is asked for. */
export interface Query extends QueryWish {
  readonly deploymentId: string;
  readonly replicaId: string | undefined;
  readonly service: string | undefined;
  readonly aggregation: Aggregation;
}

/** The answer. */
export interface Course {
  readonly steps: Steps;
  readonly series: readonly Series[];
  /** Empty where requests are not told apart: of one replica, of one service, and in live steps. */
  readonly requests: readonly RequestStep[];
}

/**
 * Answers with the course of a deployment's use.
 *
 * @throws INVALID_ARGUMENT for a range that cannot be answered, DATABASE_UNAVAILABLE.
 */
export async function queryMetrics(deps: QueryDeps, query: Query): Promise<Course> {
  const steps = planSteps(query, deps.now(), deps.kept);
  const replicaIds = await wantedReplicas(deps, query);
  const range = { deploymentId: query.deploymentId, replicaIds, fromMs: steps.startMs, toMs: steps.endMs };
  const isWhole = replicaIds === undefined && steps.resolution !== 'live';
  const [rows, requests] = await Promise.all([
    readRows(deps, steps, range),
    isWhole ? deps.stored.listRequestMinutes(range) : [],
  ]);
  return {
    steps,
    series: drawCourse(rows, steps, query.aggregation),
    requests: isWhole ? drawRequests(requests, steps) : [],
  };
}

async function wantedReplicas(deps: QueryDeps, query: Query): Promise<readonly string[] | undefined> {
  const { deploymentId, replicaId, service } = query;
  if (service === undefined) return replicaId === undefined ? undefined : [replicaId];
  const known = await deps.findReplicaIds(deploymentId, service);
  return replicaId === undefined ? known : known.filter((id) => id === replicaId);
}

async function readRows(deps: QueryDeps, steps: Steps, range: StoredRange): Promise<readonly UseRow[]> {
  if (steps.resolution === 'minute') return await deps.stored.listMinutes(range);
  if (steps.resolution === 'hour') return await deps.stored.listHours(range);
  const samples = await deps.readLive(range.deploymentId);
  const wanted = samples.filter(({ replicaId }) => range.replicaIds?.includes(replicaId) ?? true);
  return toUseRows(wanted.map(toReading), STEP_MS.live);
}

function toReading(sample: ContainerSample) {
  return {
    replicaId: sample.replicaId,
    containerId: sample.containerId,
    atMs: sample.at ? timestampMs(sample.at) : 0,
    startedAtMs: sample.startedAt ? timestampMs(sample.startedAt) : 0,
    cpuNanos: Number(sample.cpuUsageNanos),
    cpuThrottledNanos: Number(sample.cpuThrottledNanos),
    memoryBytes: Number(sample.memoryBytes),
    networkReceiveBytes: Number(sample.networkReceiveBytes),
    networkTransmitBytes: Number(sample.networkTransmitBytes),
    diskReadBytes: Number(sample.diskReadBytes),
    diskWriteBytes: Number(sample.diskWriteBytes),
    pids: sample.pids,
  };
}
