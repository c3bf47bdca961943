import type { ReplicaTemplate } from '../contracts/rollout.ts';
import type { ObservedContainer } from '../domain/container.ts';
import { DomainError } from '../domain/errors.ts';
import { hasGivenUp, openGate, passGate } from '../domain/health-gate.ts';
import { rulesOf } from '../domain/health-rules.ts';
import { lookAtReplica } from './look-at-replica.ts';
import type { ReplicaPorts } from './node-ports.ts';
import { replicaExited, replicaUnhealthy } from './replica-failure.ts';
import { createWakeUp } from './wake-up.ts';

/** Docker may say that a container exited before it says that its memory was the reason; it does so within this. */
const LATE_REASON_MS = 2_000;

/** A replica whose container has been started. */
export interface StartingReplica {
  readonly template: ReplicaTemplate;
  readonly replicaId: string;
  readonly container: ObservedContainer;
  /** Restarts that the container had before this start. */
  readonly restartsBefore: number;
  /** Values that must not appear in an error. */
  readonly secrets: Iterable<string>;
}

/**
 * Returns once a starting replica is healthy, with how its container is then.
 *
 * Looks by itself at the pace of the gate, and at once when Docker tells that something happened to the container.
 *
 * @throws REPLICA_UNHEALTHY, REPLICA_EXITED (final) with the reason and the last lines; leaves the container.
 */
export async function awaitHealthy(
  replica: StartingReplica,
  ports: ReplicaPorts,
  signal: AbortSignal,
): Promise<ObservedContainer> {
  const { template, replicaId, restartsBefore, secrets } = replica;
  const health = rulesOf(template);
  const { check } = health;
  const failed = (container: ObservedContainer) => ({ template, replicaId, container, secrets });
  const rules = { retries: check.retries, restartsBefore };
  const wakeUp = createWakeUp();
  const unsubscribe = ports.onContainerChange(replica.container.id, wakeUp.ring);
  try {
    let { container } = replica;
    for (let gate = openGate(performance.now()); ; ) {
      if (hasGivenUp(container, rules)) {
        container = await withLateReason(container, { ports, pause: (ms) => wakeUp.wait(ms, signal) });
        throw await replicaExited(failed(container), ports);
      }
      const verdict = passGate(gate, await lookAtReplica(container, health, ports), check, performance.now());
      if (verdict.kind === 'healthy') return container;
      if (verdict.kind === 'unhealthy') throw await replicaUnhealthy(failed(container), verdict.reason, ports);
      gate = verdict.gate;
      await wakeUp.wait(verdict.delayMs, signal);
      container = await stillThere(container.id, ports);
    }
  } finally {
    unsubscribe();
  }
}

/** Looks again at each sign of the container until Docker gives the reason of its exit, or has had the time to. */
async function withLateReason(
  exited: ObservedContainer,
  { ports, pause }: { readonly ports: ReplicaPorts; pause(ms: number): Promise<void> },
): Promise<ObservedContainer> {
  const untilMs = performance.now() + LATE_REASON_MS;
  for (let container = exited; ; container = await stillThere(container.id, ports)) {
    const leftMs = untilMs - performance.now();
    if (!mayHaveRunOutOfMemory(container) || leftMs <= 0) return container;
    await pause(leftMs);
  }
}

/** 137 is how a process ends that was killed, by whomever. */
function mayHaveRunOutOfMemory({ exitCode, outOfMemory }: ObservedContainer): boolean {
  return exitCode === 137 && !outOfMemory;
}

/** Somebody's hand, or a clean-up, may take a container away while it starts; making it again may well succeed. */
async function stillThere(id: string, { runtime }: ReplicaPorts): Promise<ObservedContainer> {
  const container = await runtime.findContainer(id);
  if (container) return container;
  throw new DomainError('DOCKER_UNAVAILABLE', `container ${id} was removed while its replica was starting`);
}
