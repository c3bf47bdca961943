import { setTimeout as delay } from 'node:timers/promises';
import { type LookPorts, lookAtReplica } from '../../activities/look-at-replica.ts';
import type { Log } from '../../adapters/logging/log.ts';
import { NODE_LABEL, type ObservedContainer } from '../../domain/container.ts';
import {
  afterProbe,
  type Gate,
  nextLookMs,
  openGate,
  type ProbeOutcome,
  passGate,
  type RunningHealth,
} from '../../domain/health-gate.ts';
import { type HealthRules, parseHealthLabel } from '../../domain/health-rules.ts';
import type { CheckedHealth } from '../../domain/reported-replica.ts';

/** An application that accepts and does not answer shall not hold up what is told of the others. */
const FIRST_LOOK_MS = 1_000;

/** What the monitor needs from the world. */
export interface HealthMonitorPorts extends LookPorts {
  findContainer(id: string): Promise<ObservedContainer | undefined>;
  /** Runs a look when one of the few that may run at a time is free. */
  lookSlot<Answer>(task: () => Promise<Answer>): Promise<Answer>;
  /** Gives a container back what its daemon has lost of its network. @returns whether there was anything to give */
  reattach(containerId: string): Promise<boolean>;
  /** Told of every container whose health, or port, has changed. */
  onHealthChange(containerId: string): void;
  readonly log: Log;
}

/** Keeps checking the replicas that run on this node, by their own rules. */
export interface HealthMonitor {
  /**
   * Says how healthy a container is, and keeps checking it from now on for as long as it runs. One that was not known,
   * or has been started anew, is looked at first, so a node process that restarts does not doubt what works.
   */
  observe(container: ObservedContainer): Promise<CheckedHealth>;
  /** Takes over a container that has just been found healthy by somebody else. */
  foundHealthy(container: ObservedContainer): void;
  /** Looks at all again, now: the daemon may have been restarted, and may have come back without their ports. */
  lookAgain(): void;
  stop(): void;
}

/** One start of one container. */
interface Checked {
  readonly container: ObservedContainer;
  readonly rules: HealthRules;
  gate: Gate | null;
  running: RunningHealth;
  /** What the look found that made it unhealthy; kept until it is not. */
  reason: string;
  timer: NodeJS.Timeout | undefined;
}

/** Creates the monitor. It holds one entry for each container that runs, and lets go of it when it no longer does. */
export function createHealthMonitor(ports: HealthMonitorPorts): HealthMonitor {
  const checked = new Map<string, Checked>();

  const forget = (id: string): void => {
    clearTimeout(checked.get(id)?.timer);
    checked.delete(id);
  };

  const schedule = (entry: Checked, delayMs: number): void => {
    clearTimeout(entry.timer);
    entry.timer = setTimeout(() => void again(entry), delayMs).unref();
  };

  const take = (container: ObservedContainer, health: RunningHealth | null): Checked | undefined => {
    const rules = parseHealthLabel(container.labels[NODE_LABEL.health]);
    forget(container.id);
    if (!rules || container.status !== 'running') return undefined;
    const gate = health ? null : openGate(performance.now() - upFor(container));
    const running = health ?? { healthy: false, failures: 0 };
    const entry = { container, rules, gate, running, reason: '', timer: undefined };
    checked.set(container.id, entry);
    return entry;
  };

  const look = async (entry: Checked, container: ObservedContainer): Promise<void> => {
    const { check } = entry.rules;
    const { running, gate } = entry;
    const before = stateOf(entry);
    const outcome = await lookAtReplica(container, entry.rules, ports);
    if (checked.get(container.id) !== entry) return;
    // Another look has ended meanwhile: what both found would count twice, however close together.
    if (entry.running !== running || entry.gate !== gate) return;
    // Of an application that answers there is nothing to wait for: where it cannot be reached, it is past its gate.
    if (entry.gate === null || outcome.kind === 'unreachable') {
      entry.gate = null;
      entry.running = afterProbe(entry.running, outcome, check.retries);
      schedule(entry, nextLookMs(entry.running, outcome, check));
    } else {
      const verdict = passGate(entry.gate, outcome, check, performance.now());
      entry.gate = verdict.kind === 'wait' ? verdict.gate : null;
      entry.running = { healthy: verdict.kind === 'healthy', failures: 0 };
      schedule(entry, verdict.kind === 'wait' ? verdict.delayMs : check.intervalMs);
    }
    if (stateOf(entry) !== before) {
      entry.reason = stateOf(entry) === 'unhealthy' ? reasonOf(outcome) : '';
      ports.onHealthChange(container.id);
    }
    if (outcome.kind === 'unreachable' && !entry.running.healthy) await repair(entry);
  };

  const repair = async ({ container: { id } }: Checked): Promise<void> => {
    try {
      if (!(await ports.reattach(id))) return;
      ports.log.warn({ containerId: id }, 'its daemon had lost it from its network, and has it back');
      ports.onHealthChange(id);
      const entry = checked.get(id);
      if (entry) schedule(entry, 0);
    } catch (error) {
      ports.log.warn({ err: error, containerId: id }, 'it cannot be given its network back yet');
    }
  };

  const again = async (entry: Checked): Promise<void> => {
    try {
      await ports.lookSlot(async () => {
        const container = await ports.findContainer(entry.container.id);
        if (checked.get(entry.container.id) !== entry) return;
        if (container && isSameStart(container, entry.container)) return await look(entry, container);
        forget(entry.container.id);
        ports.onHealthChange(entry.container.id);
      });
    } catch {
      // Docker does not answer, which says nothing about the application: asked again later.
      if (checked.get(entry.container.id) === entry) schedule(entry, entry.rules.check.intervalMs);
    }
  };

  return {
    observe: async (container) => {
      const known = checked.get(container.id);
      if (known && isSameStart(container, known.container)) {
        // Docker runs health commands by itself, and this may be the moment at which it told the result.
        if (known.rules.check.probe.kind === 'command') await look(known, container);
        return healthOf(known);
      }
      const entry = take(container, null);
      if (!entry) return { state: container.status === 'running' ? 'healthy' : 'starting', reason: '' };
      const firstLook = ports.lookSlot(() => look(entry, container));
      await Promise.race([firstLook, delay(FIRST_LOOK_MS, undefined, { ref: false })]);
      return healthOf(entry);
    },
    foundHealthy: (container) => {
      const known = checked.get(container.id);
      const wasHealthy = known && isSameStart(container, known.container) && stateOf(known) === 'healthy';
      const entry = wasHealthy ? undefined : take(container, { healthy: true, failures: 0 });
      if (!entry) return;
      schedule(entry, entry.rules.check.intervalMs);
      ports.onHealthChange(container.id);
    },
    lookAgain: () => {
      for (const entry of checked.values()) schedule(entry, 0);
    },
    stop: () => {
      for (const id of [...checked.keys()]) forget(id);
    },
  };
}

function healthOf(entry: Checked): CheckedHealth {
  return { state: stateOf(entry), reason: entry.reason };
}

function stateOf({ gate, running }: Checked): CheckedHealth['state'] {
  if (gate !== null) return 'starting';
  return running.healthy ? 'healthy' : 'unhealthy';
}

function reasonOf(outcome: ProbeOutcome): string {
  return 'reason' in outcome ? outcome.reason : '';
}

function isSameStart(one: ObservedContainer, other: ObservedContainer): boolean {
  return one.startedAt === other.startedAt && one.status === 'running';
}

function upFor({ startedAt }: ObservedContainer): number {
  return startedAt === null ? 0 : Math.max(0, Date.now() - Date.parse(startedAt));
}
