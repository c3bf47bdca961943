import { Code, ConnectError } from '@connectrpc/connect';
import {
  type Deployment,
  type DeploymentEvent,
  type Operation,
  OperationKind,
  OperationState,
  type WatchDeploymentResponse,
} from '../gen/obiente/cloud/v1/deployments_pb.ts';
import type { Api } from './client.ts';
import { OperationFailed } from './failures.ts';
import { isOver } from './operation-state.ts';
import { resumingStream } from './resuming-stream.ts';

/** How much of what the application printed a failure shows, and how long to wait for it. */
const LAST_LINES = 10;
const LAST_LINES_TIMEOUT_MS = 3_000;

/** Kinds of events after which nothing more happens to an operation. */
const LAST_KINDS: ReadonlySet<string> = new Set([
  'operation.succeeded',
  'operation.failed',
  'operation.cancelled',
  'operation.superseded',
]);

/** How an operation is followed. */
export interface Following {
  readonly deploymentId: string;
  readonly operation: Operation;
  readonly signal: AbortSignal;
  readonly onEvent: (event: DeploymentEvent) => void;
  readonly onInterruption: () => void;
}

/**
 * Watches an operation until it has ended, through restarts of the API.
 *
 * Returns the deployment as it then stands; `undefined` when it is gone, as after a removal.
 *
 * @throws OperationFailed when the operation failed or a newer one took its place.
 */
export async function followOperation(api: Api, following: Following): Promise<Deployment | undefined> {
  const { deploymentId, operation, signal, onEvent } = following;
  const messages = resumingStream<WatchDeploymentResponse, bigint>({
    open: (afterSequence, streamSignal) =>
      api.deployments.watchDeployment({ deploymentId, afterSequence }, { signal: streamSignal }),
    advance: (cursor, { sequence }) => (sequence === 0n ? cursor : sequence),
    start: 0n,
    signal,
    onInterruption: following.onInterruption,
  });
  try {
    for await (const { event, deployment } of messages) {
      const isOurs = event?.operationId === operation.id;
      if (event !== undefined && isOurs) onEvent(event);
      const isLast = isOurs && LAST_KINDS.has(event?.kind ?? '');
      if (isLast || hasEnded(deployment?.operation, operation)) return await conclude(api, following, event);
    }
  } catch (error) {
    if (!isGone(error)) throw error;
  }
  return undefined;
}

/** Reads how the operation ended; of one that is not the newest any more, only its last event tells. */
async function conclude(
  api: Api,
  { deploymentId, operation }: Following,
  last: DeploymentEvent | undefined,
): Promise<Deployment | undefined> {
  const { deployment } = await api.deployments.getDeployment({ deploymentId });
  const newest = deployment?.operation;
  if (deployment === undefined || newest === undefined) return deployment;
  if (newest.id !== operation.id) {
    if (last?.kind === 'operation.succeeded') return deployment;
    if (newest.kind === OperationKind.DELETE && operation.kind !== OperationKind.DELETE) throw deletedMeanwhile();
    if (last?.kind === 'operation.cancelled') throw cancelled(last.message);
    throw last?.kind === 'operation.failed' ? failed(last.message) : superseded();
  }
  if (newest.state === OperationState.SUPERSEDED) throw superseded();
  if (newest.state === OperationState.CANCELLED) throw cancelled(last?.message ?? 'it was cancelled');
  if (newest.state !== OperationState.FAILED) return deployment;
  throw new OperationFailed({
    code: newest.errorCode,
    message: newest.errorMessage,
    hint: newest.errorHint,
    lastLines: await readLastLines(api, deploymentId, operation.revision),
  });
}

/** A newer operation that is under way shows that an older one is not: there is one at a time. */
function hasEnded(newest: Operation | undefined, ours: Operation): boolean {
  if (newest === undefined) return false;
  if (newest.id !== ours.id) return newest.state !== OperationState.QUEUED && newest.state !== OperationState.CANCELLED;
  return isOver(newest.state);
}

/** The newest operation is another: what is known of ours is its last event. */
function failed(message: string): OperationFailed {
  return new OperationFailed({ code: 'OPERATION_FAILED', message, hint: '', lastLines: [] });
}

/** What a deploy ends with when its deployment was deleted while it was going on. */
export function deletedMeanwhile(): OperationFailed {
  return new OperationFailed({
    code: 'CANCELLED',
    message: 'the deployment has been deleted meanwhile',
    hint: 'Deploy again to create it anew.',
    lastLines: [],
  });
}

function cancelled(message: string): OperationFailed {
  return new OperationFailed({ code: 'CANCELLED', message, hint: '', lastLines: [] });
}

function superseded(): OperationFailed {
  return new OperationFailed({
    code: 'SUPERSEDED',
    message: 'a newer operation has taken the place of this one',
    hint: 'Run "obiente status" to see how the newer one goes on.',
    lastLines: [],
  });
}

/**
 * What replicas of the failed revision that still exist printed; those of other revisions have no part in it. An
 * extra: when it can't be had, the failure is shown without it.
 */
async function readLastLines(api: Api, deploymentId: string, revision: number): Promise<readonly string[]> {
  const lines: string[] = [];
  const request = { deploymentId, tail: LAST_LINES, follow: false };
  try {
    const signal = AbortSignal.timeout(LAST_LINES_TIMEOUT_MS);
    for await (const { line } of api.logs.streamLogs(request, { signal })) {
      if (line?.replicaId.startsWith(`r${revision}-`)) lines.push(`${line.replicaId} | ${line.text}`);
    }
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
  }
  return lines.slice(-LAST_LINES);
}

function isGone(error: unknown): boolean {
  return error instanceof ConnectError && error.code === Code.NotFound;
}
