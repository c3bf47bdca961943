import {
  DefaultLogger,
  type LogEntry,
  NativeConnection,
  Runtime,
  Worker,
  type WorkflowBundle,
} from '@temporalio/worker';
import type { Log } from '../logging/log.ts';
import type { TemporalAddress } from './client.ts';
import { createDataConverter } from './data-converter.ts';

/** How long a worker lets activities finish, and when it gives up on them: a start takes seconds, a force ends a hang. */
const SHUTDOWN = { shutdownGraceTime: '30s', shutdownForceTime: '45s' } as const;

/**
 * How long a step waits for the worker that has its workflow in memory. One that was killed takes none, so by the
 * default of 10 s each of its operations would stand still for so long; one that is just slow has another replay them.
 */
const STICKY_MS = 3_000;

/** A worker that polls; `stop` drains it, and `ended` rejects when it dies by itself. */
export interface RunningWorker {
  stop(): Promise<void>;
  readonly ended: Promise<void>;
}

/** Sends the SDK's log, the native core's included, into the process's own. Call it before the first worker. */
export function installTemporalLog(log: Log): void {
  const write = ({ level, message, meta, timestampNanos: _ }: LogEntry): void => {
    const error = meta?.error instanceof Error ? { err: meta.error } : {};
    const { workflowId, activityType, taskQueue, attempt } = meta ?? {};
    // Errors do not come out of a workflow as such, so it says in words what went wrong.
    const reason = typeof meta?.error === 'string' ? { reason: meta.error } : {};
    log[LEVEL[level]]({ ...error, ...reason, workflowId, activityType, taskQueue, attempt }, message);
  };
  Runtime.install({ logger: new DefaultLogger('INFO', write), shutdownSignals: [] });
}

const LEVEL = { TRACE: 'trace', DEBUG: 'debug', INFO: 'info', WARN: 'warn', ERROR: 'error' } as const;

/** What one worker polls for. */
export interface WorkerOptions {
  readonly taskQueue: string;
  readonly activities: object;
  /** Absent on workers that run activities only. */
  readonly workflowBundle?: WorkflowBundle;
  readonly maxCachedWorkflows?: number;
  readonly maxActivities: number;
}

/** Connects to the server; several workers share one connection. */
export async function connectWorkers(to: TemporalAddress): Promise<NativeConnection> {
  return await NativeConnection.connect({ address: to.address });
}

/** Starts one worker on its queue. */
export async function startWorker(
  connection: NativeConnection,
  to: TemporalAddress,
  options: WorkerOptions,
): Promise<RunningWorker> {
  const worker = await Worker.create({
    connection,
    namespace: to.namespace,
    taskQueue: options.taskQueue,
    activities: options.activities,
    dataConverter: createDataConverter({ payloadKeys: to.payloadKeys }),
    maxConcurrentActivityTaskExecutions: options.maxActivities,
    stickyQueueScheduleToStartTimeout: STICKY_MS,
    maxHeartbeatThrottleInterval: '2s',
    defaultHeartbeatThrottleInterval: '2s',
    ...SHUTDOWN,
    ...(options.workflowBundle ? { workflowBundle: options.workflowBundle } : {}),
    ...(options.maxCachedWorkflows === undefined ? {} : { maxCachedWorkflows: options.maxCachedWorkflows }),
  });
  const ended = worker.run();
  const stop = async (): Promise<void> => {
    if (worker.getState() === 'RUNNING') worker.shutdown();
    await ended;
  };
  return { stop, ended };
}
