import type { ContainerEvent, ContainerStatus, ObservedContainer } from '../../domain/container.ts';
import { NODE_LABEL } from '../../domain/container.ts';
import { DomainError, notFound } from '../../domain/errors.ts';
import type { RestartPolicy } from '../../domain/spec.ts';
import { aContainer } from './containers.ts';

/** First pause of the daemon before a restart; it doubles, up to a minute, and starts over after a run of 10 s. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 60_000;
const FORGETS_AFTER_MS = 10_000;

interface FakeContainer {
  readonly id: string;
  readonly labels: Readonly<Record<string, string>>;
  status: ContainerStatus;
  policy: RestartPolicy;
  isStoppedByHand: boolean;
  exitCode: number;
  outOfMemory: boolean;
  restarts: number;
  startedAtMs: number | null;
  finishedAtMs: number | null;
  pauseMs: number;
  restart: NodeJS.Timeout | undefined;
}

/**
 * A Docker daemon in memory, as far as restarts go; `restart-contract.test.ts` holds it to the real one. Its times come
 * from the timers of the test.
 */
export function createFakeDocker() {
  const containers = new Map<string, FakeContainer>();
  const listeners = new Set<(event: ContainerEvent) => void>();
  const starts: string[] = [];
  let isAway = false;
  let refusesStarts = false;
  let startsAreHeld: Promise<void> | undefined;

  const tell = (event: ContainerEvent): void => {
    for (const listener of listeners) listener(event);
  };
  const get = (id: string): FakeContainer => {
    if (isAway) throw new DomainError('DOCKER_UNAVAILABLE', 'docker cannot be reached');
    const found = containers.get(id);
    if (!found) throw notFound(`container ${id}`);
    return found;
  };
  const begin = (container: FakeContainer): void => {
    container.status = 'running';
    // A real daemon tells starts apart by nanoseconds.
    container.startedAtMs = Math.max(Date.now(), (container.startedAtMs ?? 0) + 1);
    tell({ kind: 'changed', containerId: container.id });
  };
  const end = (container: FakeContainer, exitCode: number): void => {
    const nowMs = Date.now();
    const ranForMs = nowMs - (container.startedAtMs ?? nowMs);
    if (ranForMs >= FORGETS_AFTER_MS) container.pauseMs = FIRST_PAUSE_MS;
    Object.assign(container, { exitCode, finishedAtMs: nowMs });
    const isWanted = container.policy === 'always' || (container.policy === 'on-failure' && exitCode !== 0);
    container.status = isWanted && !container.isStoppedByHand ? 'restarting' : 'exited';
    if (container.status === 'restarting') {
      container.restarts += 1;
      container.restart = setTimeout(() => begin(container), container.pauseMs);
      container.pauseMs = Math.min(2 * container.pauseMs, LONGEST_PAUSE_MS);
    }
    tell({ kind: 'exited', containerId: container.id, exitCode });
  };

  const runtime = {
    listContainerIds: async (): Promise<string[]> => {
      if (isAway) throw new DomainError('DOCKER_UNAVAILABLE', 'docker cannot be reached');
      return [...containers.keys()];
    },
    findContainer: async (id: string): Promise<ObservedContainer | undefined> => {
      if (!containers.has(id) && !isAway) return undefined;
      return toObserved(get(id));
    },
    startContainer: async (id: string): Promise<void> => {
      const container = get(id);
      starts.push(id);
      await startsAreHeld;
      if (refusesStarts) throw new DomainError('DOCKER_UNAVAILABLE', 'port is already allocated');
      if (container.status === 'running' || container.status === 'restarting') return;
      Object.assign(container, { restarts: 0, pauseMs: FIRST_PAUSE_MS, isStoppedByHand: false });
      begin(container);
    },
    setRestartPolicy: async (id: string, policy: RestartPolicy): Promise<void> => {
      get(id).policy = policy;
    },
    stopContainer: async (id: string): Promise<void> => {
      const container = get(id);
      container.isStoppedByHand = true;
      clearTimeout(container.restart);
      if (container.status === 'running') end(container, 137);
      container.status = 'exited';
    },
    removeContainer: async (id: string): Promise<void> => {
      clearTimeout(get(id).restart);
      containers.delete(id);
      tell({ kind: 'removed', containerId: id });
    },
  };

  return {
    runtime,
    /** Ids of the containers that were asked to start, by somebody else than the daemon, in order. */
    starts,
    onEvent: (listener: (event: ContainerEvent) => void): void => {
      listeners.add(listener);
    },
    /** Creates and starts a replica's container; with `null` one that has no policy but its daemon's, `always`. */
    run: (id: string, wanted: RestartPolicy | null = 'always'): void => {
      const policy = wanted ?? 'always';
      const { [NODE_LABEL.restart]: _, ...bare } = aContainer(id).labels;
      const labels = wanted === null ? bare : { ...bare, [NODE_LABEL.restart]: wanted };
      const fresh = { status: 'created', exitCode: 0, outOfMemory: false, restarts: 0 } as const;
      const times = { startedAtMs: null, finishedAtMs: null, pauseMs: FIRST_PAUSE_MS, restart: undefined };
      containers.set(id, { id, labels, policy, isStoppedByHand: false, ...fresh, ...times });
      begin(get(id));
    },
    /** Makes the application exit. */
    exit: (id: string, exitCode: number): void => end(get(id), exitCode),
    /** Makes the kernel kill the application for its memory. */
    exhaust: (id: string): void => {
      get(id).outOfMemory = true;
      tell({ kind: 'out-of-memory', containerId: id });
      end(get(id), 137);
    },
    setAway: (away: boolean): void => {
      isAway = away;
      if (!away) tell({ kind: 'connected' });
    },
    setRefusesStarts: (refuses: boolean): void => {
      refusesStarts = refuses;
    },
    /** Carries out starts only once this resolves, as a daemon that is busy. */
    holdStarts: (until: Promise<void>): void => {
      startsAreHeld = until;
    },
    /** Changes what no event tells. */
    loseEvents: (change: () => void): void => {
      const kept = [...listeners];
      listeners.clear();
      change();
      for (const listener of kept) listeners.add(listener);
    },
  };
}

/** What {@link createFakeDocker} answers with. */
export type FakeDocker = ReturnType<typeof createFakeDocker>;

function toObserved(container: FakeContainer): ObservedContainer {
  const { id, labels, status, exitCode, outOfMemory, restarts, startedAtMs, finishedAtMs, policy } = container;
  const text = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());
  return aContainer(id, {
    ...{ labels, status, outOfMemory, restarts, daemonPolicy: policy },
    exitCode: status === 'running' || startedAtMs === null ? null : exitCode,
    startedAt: text(startedAtMs),
    finishedAt: text(finishedAtMs),
    hostPort: status === 'running' ? 32_768 : null,
  });
}
