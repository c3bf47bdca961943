import type { ReplicaRestarts } from '../../activities/node-ports.ts';
import { createWakeUp } from '../../activities/wake-up.ts';
import type { Docker } from '../../adapters/docker/docker.ts';
import { createLimiter } from '../../adapters/limits/limiter.ts';
import type { Log } from '../../adapters/logging/log.ts';
import type { ContainerEvent, ObservedContainer } from '../../domain/container.ts';
import type { RestartStanding } from '../../domain/reported-replica.ts';
import { planRestarts, restartPolicyOf } from '../../domain/restart-plan.ts';
import { noteExit, noteFailedTry, noteOutOfMemory, observeRestarts } from '../../domain/restart-record.ts';
import { RESTART_RULES, type RestartRules } from '../../domain/restart-rule.ts';
import type { KeptRestarts } from './restart-memory.ts';

/** Everything is looked at again after this, since a stream of events may die without a word. */
const RESYNC_MS = 30_000;

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 10_000;

/** What the keeper needs from the world. */
export interface RestartKeeperPorts {
  readonly runtime: Pick<Docker, 'listContainerIds' | 'findContainer' | 'startContainer' | 'setRestartPolicy'>;
  readonly memory: KeptRestarts;
  /** Runs a look at Docker when one of the few that may run at a time is free. */
  lookSlot<Answer>(task: () => Promise<Answer>): Promise<Answer>;
  /** Runs a start when one of the node's few start slots is free. */
  startSlot<Answer>(task: () => Promise<Answer>): Promise<Answer>;
  /** Throws while nothing may be restarted here: then what is due waits. Absent: that is never so. */
  readonly requireKeeping?: () => void;
  /** Told when something changed that Docker tells no event of. */
  onChange(containerId: string): void;
  readonly log: Log;
}

/** Keeps the restarts of this node's replicas. */
export interface RestartKeeper extends ReplicaRestarts {
  /** Whether somebody has claimed a container and not released it yet. */
  isClaimed(containerId: string): boolean;
  /** Says what happened to a container, or that everything may have changed. */
  tell(event: ContainerEvent): void;
  /** Says how the restarts of a container stand. */
  standing(container: ObservedContainer): RestartStanding;
  /** Looks at everything, and then restarts what exits, until aborted. */
  run(signal: AbortSignal): Promise<void>;
}

/**
 * Creates the keeper. It looks at a container when Docker told something of it, when its plan says so, and with all
 * others every 30 s, and does then what {@link planRestarts} says; one thing at a time for each container.
 *
 * It needs no control plane: what a node has been given to run, it keeps running. Nor does it need the node's lease, but it
 * leaves everything to another process that has taken the lease on this host.
 */
export function createRestartKeeper(ports: RestartKeeperPorts, rules: RestartRules = RESTART_RULES): RestartKeeper {
  const { runtime, memory, log } = ports;
  const claims = new Map<string, number>();
  const timers = new Map<string, NodeJS.Timeout>();
  const waiting = new Set<string>();
  const starting = new Set<string>();
  const inTurn = createLimiter(1);
  const wakeUp = createWakeUp();
  let isOver = false;

  const lookIn = (id: string, delayMs: number): void => {
    clearTimeout(timers.get(id));
    timers.set(id, setTimeout(() => look(id), delayMs).unref());
  };

  const look = (id: string): void => {
    if (isOver || waiting.has(id)) return;
    waiting.add(id);
    void inTurn(id, async () => {
      waiting.delete(id);
      // Docker does not answer, which says nothing about the replica: asked again later.
      await keep(id).catch(() => lookIn(id, LONGEST_RETRY_MS));
    });
  };

  const isKept = (id: string): boolean => !claims.has(id) && !memory.isRetired(id);

  const planOf = (container: ObservedContainer, nowMs: number) => {
    const record = observeRestarts(memory.get(container.id), container, nowMs, rules);
    const policy = restartPolicyOf(container);
    const isOurs = policy !== undefined && isKept(container.id);
    return { record, plan: isOurs ? planRestarts({ container, record, policy }, nowMs, rules) : undefined };
  };

  const forget = (id: string): void => {
    clearTimeout(timers.get(id));
    timers.delete(id);
    memory.forget(id);
  };

  const keep = async (id: string, hasSlot = false): Promise<void> => {
    if (claims.has(id)) return;
    const container = await ports.lookSlot(() => runtime.findContainer(id));
    if (!container) return forget(id);
    const before = memory.get(id);
    const { record, plan } = planOf(container, Date.now());
    memory.set(id, record);
    if (before && before.streak > 0 && record.streak === 0) ports.onChange(id);
    if (!plan || isOver) return;
    const hasOtherPolicy = plan.daemonPolicy !== container.daemonPolicy;
    if (hasOtherPolicy || plan.start) ports.requireKeeping?.();
    if (hasOtherPolicy) await runtime.setRestartPolicy(id, plan.daemonPolicy);
    if (plan.start) await (hasSlot ? start(id) : queueStart(id));
    else if (plan.lookInMs !== null) lookIn(id, plan.lookInMs);
  };

  /** Who has a slot may wait for a turn, and never the other way round: activities claim containers from their slots. */
  const queueStart = (id: string): void => {
    if (starting.has(id)) return;
    starting.add(id);
    void ports.startSlot(async () => {
      starting.delete(id);
      await inTurn(id, () => keep(id, true)).catch(() => lookIn(id, LONGEST_RETRY_MS));
    });
  };

  const start = async (id: string): Promise<void> => {
    try {
      await runtime.startContainer(id);
    } catch (error) {
      log.warn({ err: error, containerId: id }, 'a replica could not be restarted');
      const record = memory.get(id);
      if (record) memory.set(id, noteFailedTry(record, Date.now()));
      ports.onChange(id);
    }
    look(id);
  };

  const note = (event: Exclude<ContainerEvent, { kind: 'connected' }>): void => {
    const record = memory.get(event.containerId);
    if (!record) return;
    if (event.kind === 'exited') memory.set(event.containerId, noteExit(record, event.exitCode));
    if (event.kind === 'out-of-memory') memory.set(event.containerId, noteOutOfMemory(record));
  };

  const returnPolicy = async (id: string): Promise<void> => {
    const container = memory.get(id) ? await runtime.findContainer(id) : undefined;
    const policy = container && restartPolicyOf(container);
    if (policy && policy !== container.daemonPolicy) await runtime.setRestartPolicy(id, policy);
  };

  return {
    tell: (event) => {
      if (event.kind === 'connected') wakeUp.ring();
      else if (event.kind === 'removed') forget(event.containerId);
      else {
        note(event);
        look(event.containerId);
      }
    },
    standing: (container) => {
      const { record, plan } = planOf(container, Date.now());
      const nextMs = plan?.nextRestartAtMs ?? null;
      return { ...record, nextRestartAt: nextMs === null ? null : new Date(nextMs).toISOString() };
    },
    isClaimed: (id) => claims.has(id),
    claim: async (id) => {
      const release = (): void => {
        const others = (claims.get(id) ?? 1) - 1;
        if (others > 0) claims.set(id, others);
        else claims.delete(id);
        look(id);
      };
      claims.set(id, (claims.get(id) ?? 0) + 1);
      memory.readmit(id);
      await inTurn(id, () => returnPolicy(id)).catch((error: unknown) => {
        release();
        throw error;
      });
      return release;
    },
    retire: async (container) => {
      const { id } = container;
      const saved = memory.retire(id);
      clearTimeout(timers.get(id));
      await inTurn(id, async () => {
        // Docker forgets that it was stopped by hand where the policy is `on-failure`, and would start it at its own start.
        // Where it is being removed already Docker refuses, and the stop that follows is what matters.
        const policies = [restartPolicyOf(container), container.daemonPolicy];
        if (policies.includes('on-failure')) await runtime.setRestartPolicy(id, 'never').catch(() => undefined);
      });
      await saved;
    },
    run: async (signal) => {
      for (let retryMs = FIRST_RETRY_MS; !signal.aborted; ) {
        let pauseMs = RESYNC_MS;
        try {
          const ids = [...(await runtime.listContainerIds()), ...memory.ids()];
          for (const id of new Set(ids)) look(id);
          retryMs = FIRST_RETRY_MS;
        } catch {
          // Docker is away: its next connection rings, and until then it is asked again by itself.
          pauseMs = retryMs;
          retryMs = Math.min(2 * retryMs, LONGEST_RETRY_MS);
        }
        await wakeUp.wait(pauseMs, signal).catch(() => undefined);
      }
      isOver = true;
      for (const timer of timers.values()) clearTimeout(timer);
    },
  };
}
