import { setTimeout as delay } from 'node:timers/promises';
import { addRequests, NO_REQUESTS, type RequestCounters, requestsSince } from '../domain/metrics/requests.ts';
import type { RequestMinuteRow } from '../domain/metrics/rows.ts';
import type { LiveRequests, RequestTotals } from './live-requests.ts';
import type { Clock } from './ports.ts';

/** What an ingress has counted since it started. */
export interface IngressReading {
  /** When its process began: another one counts from zero. */
  readonly startedAtMs: number;
  /** By the ingress' own name of a service; a deployment may have several. */
  readonly services: ReadonlyMap<string, { readonly deploymentId: string; readonly counters: RequestCounters }>;
}

/** The counters of this node's ingress. */
export interface IngressCounters {
  /** Looks once. @throws what kept it from answering. */
  read(signal: AbortSignal): Promise<IngressReading>;
}

/** What the collector must remember across a restart, so that no request is counted twice or not at all. Plain data. */
export interface RequestState {
  /** Of the ingress' process that `services` was read from. */
  readonly startedAtMs: number;
  readonly services: readonly (readonly [name: string, counters: RequestCounters])[];
  readonly minuteMs: number;
  readonly open: readonly (readonly [deploymentId: string, counters: RequestCounters])[];
  /** Rows that may not be in the writer's hands yet; to write one twice is harmless. */
  readonly rows: readonly RequestMinuteRow[];
}

/** Where that is kept. */
export interface RequestStateStore {
  load(): Promise<RequestState | undefined>;
  save(state: RequestState): Promise<void>;
}

/** What the collector works with. */
export interface RequestCollectorOptions {
  readonly ingress: IngressCounters;
  readonly live: LiveRequests;
  readonly states: RequestStateStore;
  /** Takes rows of minutes that are over. */
  readonly onRows: (rows: readonly RequestMinuteRow[]) => void;
  readonly onTrouble: (what: string, error: unknown) => void;
  readonly nodeId: () => string;
  /** Time between two looks, milliseconds. */
  readonly intervalMs: number;
  /** Length of a minute, milliseconds: the storage interval. */
  readonly minuteMs: number;
  readonly clock: Clock;
}

/** Counts the requests of this node's ingress. */
export interface RequestCollector {
  /** Looks until aborted, and keeps the last look for the next process. */
  run(signal: AbortSignal): Promise<void>;
  /** What was counted up to now, of what was looked at since the last call. */
  takeFresh(): readonly RequestTotals[];
}

/** A look may cost this share of the time: an ingress with many thousand series is looked at less often. */
const LOOK_SHARE = 0.05;

/**
 * Creates the stage that counts requests.
 *
 * The ingress' counters are cumulative; only this takes differences, service by service. An ingress that was started anew
 * counts from zero, and so does a service that it had forgotten. What it counted between the last look and its own end is
 * lost, and what it counted before it was looked at for the first time is not counted.
 */
export function createRequestCollector(options: RequestCollectorOptions): RequestCollector {
  const { clock } = options;
  let startedAtMs = -1;
  let services: ReadonlyMap<string, RequestCounters> = new Map();
  let openMs = 0;
  let open = new Map<string, RequestCounters>();
  let totals = new Map<string, RequestTotals>();
  let fresh: readonly RequestTotals[] = [];
  let lookedAtMs: number | null = null;
  let isRestored = false;

  const minuteOf = (atMs: number): number => Math.floor(atMs / options.minuteMs) * options.minuteMs;
  const state = (rows: readonly RequestMinuteRow[]): RequestState => ({
    ...{ startedAtMs, minuteMs: openMs, rows },
    services: [...services],
    open: [...open],
  });
  const save = async (rows: readonly RequestMinuteRow[]): Promise<void> => {
    const failed = (error: unknown): void => options.onTrouble('cannot keep the counters of the ingress', error);
    await options.states.save(state(rows)).catch(failed);
  };
  const restore = async (): Promise<void> => {
    const left = await options.states.load();
    isRestored = true;
    if (!left) return;
    startedAtMs = left.startedAtMs;
    services = new Map(left.services);
    openMs = left.minuteMs;
    open = new Map(left.open);
    if (left.rows.length > 0) options.onRows(left.rows);
  };

  /** What each deployment was asked since the look before; `undefined` at the first look ever. */
  const countedBy = (reading: IngressReading): Map<string, RequestCounters> | undefined => {
    const isFirst = startedAtMs < 0;
    const isSame = reading.startedAtMs === startedAtMs;
    const counted = new Map<string, RequestCounters>();
    for (const [name, { deploymentId, counters }] of reading.services) {
      const since = requestsSince((isSame && services.get(name)) || NO_REQUESTS, counters);
      counted.set(deploymentId, addRequests(counted.get(deploymentId) ?? NO_REQUESTS, since));
    }
    startedAtMs = reading.startedAtMs;
    services = new Map([...reading.services].map(([name, { counters }]) => [name, counters]));
    return isFirst ? undefined : counted;
  };

  const closeMinute = async (minuteMs: number): Promise<void> => {
    if (minuteMs <= openMs) return;
    const closing = { deployments: [...open], minuteMs: openMs };
    [openMs, open] = [minuteMs, new Map()];
    const rows = closing.deployments.map(([deploymentId, counters]) => ({
      ...{ deploymentId, nodeId: options.nodeId(), minuteMs: closing.minuteMs },
      ...counters,
    }));
    if (rows.length === 0) return;
    // First kept, then handed on: killed in between, the next process hands them on again.
    await save(rows);
    options.onRows(rows);
  };

  const tell = (counted: ReadonlyMap<string, RequestCounters>, elapsedMs: number | null, atMs: number): void => {
    const told = [...counted].map(([deploymentId, since]): RequestTotals => {
      const before = totals.get(deploymentId);
      const sum = before ? addRequests(before, since) : since;
      const requestRate = before && elapsedMs ? (since.requests / elapsedMs) * 1000 : null;
      return { ...sum, deploymentId, atMs, sinceMs: before?.sinceMs ?? lastLookMs(atMs, elapsedMs), requestRate };
    });
    totals = new Map(told.map((one) => [one.deploymentId, one]));
    fresh = told;
    options.live.add(told, atMs);
  };

  const look = async (signal: AbortSignal): Promise<void> => {
    if (!isRestored) await restore();
    await closeMinute(minuteOf(clock.now()));
    const reading = await options.ingress.read(signal);
    const [atMs, monotonicMs] = [clock.now(), clock.monotonic()];
    await closeMinute(minuteOf(atMs));
    const counted = countedBy(reading);
    const elapsedMs = lookedAtMs === null ? null : monotonicMs - lookedAtMs;
    lookedAtMs = monotonicMs;
    for (const [deploymentId, since] of counted ?? []) {
      open.set(deploymentId, addRequests(open.get(deploymentId) ?? NO_REQUESTS, since));
    }
    const known = [...reading.services.values()].map(({ deploymentId }) => [deploymentId, NO_REQUESTS] as const);
    tell(counted ?? new Map(known), elapsedMs, atMs);
  };

  return {
    run: async (signal) => {
      let isAway = false;
      while (!signal.aborted) {
        const beganMs = clock.monotonic();
        try {
          await look(signal);
          isAway = false;
        } catch (error) {
          if (!isAway && !signal.aborted) options.onTrouble('the ingress does not tell its counters', error);
          isAway = true;
        }
        const tookMs = clock.monotonic() - beganMs;
        const pauseMs = Math.max(options.intervalMs - tookMs, tookMs / LOOK_SHARE);
        await delay(pauseMs, undefined, { signal }).catch(() => undefined);
      }
      if (isRestored) await save([]);
    },
    takeFresh: () => {
      const taken = fresh;
      fresh = [];
      return taken;
    },
  };
}

function lastLookMs(atMs: number, elapsedMs: number | null): number {
  return Math.round(atMs - (elapsedMs ?? 0));
}
