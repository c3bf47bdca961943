import type { ObservedContainer } from '../domain/container.ts';
import { DomainError } from '../domain/errors.ts';
import { maskValues } from '../domain/mask-values.ts';
import type { ContainerRuntime } from './node-ports.ts';

/** How much of a failed replica's log its error carries. */
const LAST_LINES = 20;
const LAST_LINES_BYTES = 4 * 1024;

/** A replica that failed, and what must not be seen of it. */
export interface FailedReplica {
  readonly replicaId: string;
  readonly container: ObservedContainer;
  readonly memoryBytes: number;
  readonly secrets: Iterable<string>;
}

/** Says that a replica exited for good: with which code, why as far as is known, and its last words. */
export async function replicaExited(failed: FailedReplica, runtime: ContainerRuntime): Promise<DomainError> {
  const { replicaId, container, memoryBytes } = failed;
  const { exitCode, outOfMemory, restarts } = container;
  const code = exitCode === null ? '' : ` with code ${exitCode}`;
  const times = restarts > 0 ? ` after ${restarts} restarts` : '';
  const memory = outOfMemory ? `, killed for using more than its ${Math.round(memoryBytes / 1024 / 1024)} MiB` : '';
  const hint = outOfMemory
    ? 'Raise the memory limit.'
    : 'Look at its last lines, mend the application and deploy again.';
  const message = `replica ${replicaId} exited${code}${times}${memory}${await lastLines(failed, runtime)}`;
  return new DomainError('REPLICA_EXITED', message, { hint });
}

/** Says that a replica never became healthy: what its last check found, and its last words. */
export async function replicaUnhealthy(
  failed: FailedReplica,
  reason: string,
  runtime: ContainerRuntime,
): Promise<DomainError> {
  const message = `replica ${failed.replicaId} did not become healthy: ${reason}${await lastLines(failed, runtime)}`;
  return new DomainError('REPLICA_UNHEALTHY', message, {
    hint: 'Check the port and the health check, or allow a longer start period.',
  });
}

/** Masked first and cut then, so that no value is cut into something that no longer looks like itself. */
async function lastLines({ container, secrets }: FailedReplica, runtime: ContainerRuntime): Promise<string> {
  // The failure itself matters more than its log, which goes with the container.
  const lines = await runtime.readLogTail(container.id, LAST_LINES).catch(() => []);
  const text = maskValues(lines.map((line) => line.text).join('\n'), secrets);
  const cut = Buffer.from(text).subarray(-LAST_LINES_BYTES).toString('utf8').replace(/^�+/, '');
  return cut === '' ? '; it printed nothing' : `; last lines:\n${cut}`;
}
