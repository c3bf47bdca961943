import { timestampFromDate, timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import { findLoggedBuilds, readLogChunk } from '../../adapters/postgres/build-logs.ts';
import type { ChangeFeed } from '../../adapters/postgres/changes.ts';
import type { Database } from '../../adapters/postgres/database.ts';
import { findDeployment } from '../../adapters/postgres/deployments.ts';
import { listFailureLogs } from '../../adapters/postgres/failure-logs.ts';
import { listNodesOfDeployment } from '../../adapters/postgres/nodes.ts';
import { notFound } from '../../domain/errors.ts';
import type { LogsService } from '../../gen/obiente/cloud/v1/logs_pb.ts';
import type { NodeLogs } from '../gateways/node-logs.ts';
import { cursorOfNow, openPositions } from '../logs/cursor.ts';
import { streamBuildLog } from '../logs/stream-build-log.ts';
import { type LogSource, type LogStreamDeps, streamLogs } from '../logs/stream-logs.ts';

/** What the service of logs needs. */
export interface LogsDeps {
  readonly db: Database;
  readonly changes: ChangeFeed;
  readonly nodeLogs: NodeLogs;
  readonly heartbeatMs: number;
  readonly now: () => Date;
}

/** How many lines of each replica a stream begins with when the caller says nothing. */
const DEFAULT_TAIL = 100;

/** A container that restarts is back within a second or two; a node that is away is asked every ten. */
const RETRY_MS = { first: 500, longest: 10_000 };

const NANOS_PER_SECOND = 1_000_000_000n;

/** Creates the service of logs. Lines of replicas come from their nodes, those of builds from the database. */
export function createLogsService(deps: LogsDeps): ServiceImpl<typeof LogsService> {
  return {
    async *streamLogs(request, { signal }) {
      const deploymentId = request.deploymentId.toLowerCase();
      const tail = request.tail ?? DEFAULT_TAIL;
      const readSources = () => readLogSources(deps.db, { deploymentId, replicaId: request.replicaId });
      const sources = await readSources();
      if (!sources) throw notFound('deployment');
      if (request.replicaId !== '' && request.cursor === '' && sources.length === 0) throw notFound('replica');

      const begin = request.cursor === '' && tail === 0 ? cursorOfNow(deploymentId, deps.now()) : request.cursor;
      const positions = openPositions(deploymentId, begin);
      const stream: LogStreamDeps = {
        readSources,
        open: deps.nodeLogs.open,
        subscribe: (listener) => deps.changes.subscribe({ deploymentId }, listener),
        heartbeatMs: deps.heartbeatMs,
        retryMs: RETRY_MS,
      };
      const wanted = { tail, follow: request.follow, positions, resumed: request.cursor !== '' };
      for await (const { line, cursor } of streamLogs(stream, wanted, signal)) {
        yield line ? { line: { ...line, at: toTimestamp(line.atNanos) }, cursor } : { cursor };
      }
    },
    async listFailureLogs({ deploymentId }) {
      const logs = await listFailureLogs(deps.db, deploymentId.toLowerCase());
      return {
        logs: logs.map(({ failedAt, lines, ...log }) => ({
          ...log,
          failedAt: timestampFromDate(failedAt),
          lines: lines.map(({ atMs, ...line }) => ({ ...line, replicaId: log.replicaId, at: timestampFromMs(atMs) })),
        })),
      };
    },
    async *streamBuildLogs({ deploymentId: id, revision, service, after, follow }, { signal }) {
      const deploymentId = id.toLowerCase();
      const stream = {
        findBuilds: (of: number) => findLoggedBuilds(deps.db, { deploymentId, revision: of }),
        readChunk: (build: { revision: number; service: string }, last: number) =>
          readLogChunk(deps.db, { deploymentId, ...build, after: last }),
        subscribe: (listener: () => void) => deps.changes.subscribe({ buildsOf: deploymentId }, listener),
        heartbeatMs: deps.heartbeatMs,
      };
      const wanted = { revision, service, after: Math.min(Number(after), Number.MAX_SAFE_INTEGER), follow };
      for await (const line of streamBuildLog(stream, wanted, signal)) {
        yield line ? { line: { ...line, number: BigInt(line.number), at: timestampFromMs(line.atMs) } } : {};
      }
    },
  };
}

function toTimestamp(nanos: bigint): { seconds: bigint; nanos: number } {
  return { seconds: nanos / NANOS_PER_SECOND, nanos: Number(nanos % NANOS_PER_SECOND) };
}

/** The containers of a deployment, or of one of its replicas; `undefined` when the deployment is gone. */
async function readLogSources(
  db: Database,
  { deploymentId, replicaId }: { readonly deploymentId: string; readonly replicaId: string },
): Promise<readonly LogSource[] | undefined> {
  const deployment = await findDeployment(db, deploymentId);
  if (!deployment) return undefined;
  const nodes = await listNodesOfDeployment(db, deploymentId);
  const gateways = new Map(nodes.map((node) => [node.nodeId, node.gatewayUrl]));
  return deployment.replicas.flatMap((replica) => {
    const gatewayUrl = gateways.get(replica.nodeId);
    const isWanted = replicaId === '' || replica.replicaId === replicaId;
    if (!isWanted || replica.containerId === null || gatewayUrl === undefined) return [];
    return [{ replicaId: replica.replicaId, containerId: replica.containerId, nodeId: replica.nodeId, gatewayUrl }];
  });
}
