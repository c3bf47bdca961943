import { NODE_LABEL, type ObservedContainer } from './container.ts';
import { LABEL } from './naming.ts';
import { hasExited, type RestartRecord, ranForMs, timeOf } from './restart-record.ts';
import { nextRestart, type RestartRules, restartDelayMs, scatterOf } from './restart-rule.ts';
import type { RestartPolicy } from './spec.ts';

/** What is to be done about one container now, and when to look at it again. */
export interface RestartPlan {
  /** What its daemon shall do by itself when it exits. */
  readonly daemonPolicy: RestartPolicy;
  /** Whether to start it now. */
  readonly start: boolean;
  /** When this plan has to be made again, milliseconds from now; `null` when only a change of the container matters. */
  readonly lookInMs: number | null;
  /** When it is started next, milliseconds since 1970; `null` while it runs and when it never is. */
  readonly nextRestartAtMs: number | null;
}

/**
 * Reads which restarts a container wants. `undefined` for one without that label, which is left to its daemon: made by
 * an older version of the platform, or by somebody else.
 */
export function restartPolicyOf({ labels }: Pick<ObservedContainer, 'labels'>): RestartPolicy | undefined {
  const policy = labels[NODE_LABEL.restart];
  return policy === 'always' || policy === 'on-failure' || policy === 'never' ? policy : undefined;
}

/**
 * Plans the restarts of one container from what was seen and what is remembered.
 *
 * The daemon keeps the policy, so that applications come back with the host even where no node process runs. Only
 * during a streak it is held back, from the third restart on until the replica has run for long: then the node alone
 * restarts, by {@link nextRestart}.
 */
export function planRestarts(
  { container, record, policy }: { container: ObservedContainer; record: RestartRecord; policy: RestartPolicy },
  nowMs: number,
  rules: RestartRules,
): RestartPlan {
  const isHeld = container.daemonPolicy === 'never' && record.streak > 0;
  const daemonPolicy = isHeld || record.streak >= rules.leftToDaemon ? 'never' : policy;
  const idle: RestartPlan = { daemonPolicy, start: false, lookInMs: null, nextRestartAtMs: null };
  const { status } = container;
  if (status === 'running') {
    const stableInMs = Math.max(1, rules.stableMs - ranForMs(container, nowMs));
    return record.streak > 0 ? { ...idle, lookInMs: stableInMs } : idle;
  }
  // The daemon's own pauses, which it does not tell, are below a second as long as it is not held back.
  if (status === 'restarting') return { ...idle, nextRestartAtMs: timeOf(container.finishedAt) };
  if (status !== 'exited' || !hasExited(container)) return idle;
  return { ...idle, ...planExited({ container, record, policy }, nowMs, rules) };
}

function planExited(
  { container, record, policy }: { container: ObservedContainer; record: RestartRecord; policy: RestartPolicy },
  nowMs: number,
  rules: RestartRules,
): Partial<RestartPlan> {
  const exit = {
    policy,
    exitCode: container.exitCode,
    streak: record.streak,
    scatter: scatterOf(`${container.labels[LABEL.deploymentId]} ${container.labels[LABEL.replica]}`),
  };
  const sinceMs = Math.max(timeOf(container.finishedAt) ?? 0, record.failedTryAtMs ?? 0);
  const verdict = nextRestart({ ...exit, waitedMs: nowMs - sinceMs }, rules);
  if (verdict.kind === 'never') return {};
  const nextRestartAtMs = sinceMs + restartDelayMs(exit, rules);
  return verdict.kind === 'now' ? { start: true, nextRestartAtMs } : { lookInMs: verdict.delayMs, nextRestartAtMs };
}
