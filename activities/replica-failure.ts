import { Context } from '@temporalio/activity';
import type { ReplicaTemplate } from '../contracts/rollout.ts';
import type { ObservedContainer } from '../domain/container.ts';
import { DomainError } from '../domain/errors.ts';
import { KEPT_FAILURE_LOG, newestLines } from '../domain/failure-log.ts';
import { createMask } from '../domain/mask-values.ts';
import type { ReplicaPorts } from './node-ports.ts';

/** How much of a failed replica's log its error carries. */
const LAST_LINES = 20;
const LAST_LINES_BYTES = 4 * 1024;

/** A replica that failed, and what must not be seen of it. */
export interface FailedReplica {
  readonly template: ReplicaTemplate;
  readonly replicaId: string;
  readonly container: ObservedContainer;
  readonly secrets: Iterable<string>;
}

/** What reads a log, and what keeps it. */
type FailurePorts = Pick<ReplicaPorts, 'runtime' | 'keepFailureLog'>;

/** Says that a replica exited for good: with which code, why as far as is known, and its last words. */
export async function replicaExited(failed: FailedReplica, ports: FailurePorts): Promise<DomainError> {
  const { template, replicaId, container } = failed;
  const { memoryBytes } = template.limits;
  const { exitCode, outOfMemory, restarts } = container;
  const code = exitCode === null ? '' : ` with code ${exitCode}`;
  const times = restarts > 0 ? ` after ${restarts} restarts` : '';
  const memory = outOfMemory ? `, killed for using more than its ${Math.round(memoryBytes / 1024 / 1024)} MiB` : '';
  const hint = outOfMemory
    ? 'Raise the memory limit.'
    : 'Look at its last lines, mend the application and deploy again.';
  const message = `replica ${replicaId} exited${code}${times}${memory}${await lastLines(failed, ports)}`;
  return new DomainError('REPLICA_EXITED', message, { hint });
}

/** Says that a replica never became healthy: what its last check found, and its last words. */
export async function replicaUnhealthy(
  failed: FailedReplica,
  reason: string,
  ports: FailurePorts,
): Promise<DomainError> {
  const message = `replica ${failed.replicaId} did not become healthy: ${reason}${await lastLines(failed, ports)}`;
  return new DomainError('REPLICA_UNHEALTHY', message, {
    hint: 'Check the port and the health check, or allow a longer start period.',
  });
}

/** Masked first and cut then, so that no value is cut into something that no longer looks like itself. */
async function lastLines(failed: FailedReplica, { runtime, keepFailureLog }: FailurePorts): Promise<string> {
  const { replicaId, container, secrets } = failed;
  // The failure itself matters more than its log, which goes with the container.
  const read = await runtime.readLogTail(container.id, KEPT_FAILURE_LOG.lines + 1).catch(() => []);
  const mask = createMask(secrets);
  const log = newestLines(read.map((line) => ({ ...line, text: mask(line.text) })));
  const { deploymentId } = failed.template;
  await keepFailureLog({ deploymentId, replicaId, ...log }).catch((error: unknown) => {
    Context.current().log.warn('the log of a replica that failed could not be kept', { error });
  });
  // Once more as one text: a value of several short lines is only found in all of them.
  const newest = mask(
    log.lines
      .slice(-LAST_LINES)
      .map(({ text }) => text)
      .join('\n'),
  );
  const cut = Buffer.from(newest).subarray(-LAST_LINES_BYTES).toString('utf8').replace(/^�+/, '');
  return cut === '' ? '; it printed nothing' : `; last lines:\n${cut}`;
}
