import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { percentile } from '../../bench/figure.ts';
import { checkInvariants } from './invariants.ts';
import { type Lane, settle } from './lane.ts';
import { untilAllLeft } from './life.ts';
import type { Replays } from './replays.ts';
import { holds, REPORTS_DIR } from './report.ts';
import type { Bed, Point, PointOutcome, Sweep, SweepResult } from './sweep.ts';

/**
 * At fewer points than this share something was really harmed: then the run says nothing, and fails. Of the few points
 * of a sample some may be events that come a little earlier or later each time.
 */
const HARMED_AT_LEAST = { whole: 0.8, sampled: 0.25 };

/** How a sweep is run. */
export interface RunOptions {
  /** Whether only a sample of its points is taken, and what takes longer of the invariants is left for the end. */
  readonly sampled: boolean;
  /** Leaves out points of other names. */
  readonly only?: RegExp;
  /** Told of every point that has ended. */
  readonly onPoint?: (point: string, outcome: PointOutcome, tookMs: number) => void;
}

/**
 * Runs a sweep on all lanes, each taking the next life as soon as it is free, and checks the invariants of every lane
 * at the end. Does not throw for what went wrong at a point: the result tells it.
 */
export async function runSweep(sweep: Sweep, bed: Bed, options: RunOptions): Promise<SweepResult> {
  const random = bed.random.fork(sweep.name);
  const { only = /./ } = options;
  const all = (await sweep.points({ ...bed, random }, options)).filter(({ name }) => only.test(name));
  const chosen = options.sampled ? random.fork('sample').sample(all, sweep.sampled) : [...all];
  // What belongs to no life is one of its own.
  const rest = [...Map.groupBy(chosen, ({ life }, index) => life ?? -1 - index).values()];
  const outcomes: { name: string; outcome: PointOutcome }[] = [];

  const work = async (lane: Lane): Promise<void> => {
    for (let points = rest.shift(); points; points = rest.shift()) {
      for (const point of points) {
        const startedAt = performance.now();
        const outcome = await runPoint(point, lane);
        outcomes.push({ name: point.name, outcome });
        options.onPoint?.(point.name, outcome, performance.now() - startedAt);
      }
    }
  };
  await Promise.all(bed.lanes.flatMap((lane) => Array.from({ length: sweep.atATime }, () => work(lane))));
  const breaks = await Promise.all(bed.lanes.map((lane) => checkLane(lane, options.sampled ? undefined : bed.replays)));
  const enough = options.sampled ? HARMED_AT_LEAST.sampled : HARMED_AT_LEAST.whole;
  const result = toResult(sweep.name, { outcomes, laneBreaks: breaks.flat(), enough });
  if (!holds(result)) for (const [index, lane] of bed.lanes.entries()) await keepLogs(lane, `${sweep.name}-${index}`);
  return result;
}

/** Keeps what the processes of a lane have logged, since it goes with the lane. */
async function keepLogs({ platform: { stateDir } }: Lane, name: string): Promise<void> {
  const folder = join(REPORTS_DIR, 'logs', name);
  await rm(folder, { recursive: true, force: true });
  await cp(join(stateDir, 'logs'), folder, { recursive: true });
}

async function runPoint(point: Point, lane: Lane): Promise<PointOutcome> {
  try {
    return await point.run(lane);
  } catch (error) {
    const failure = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { harmed: false, recoveryMs: null, operations: 0, failures: [failure], breaks: [] };
  }
}

/** Waits until a lane has settled, and checks what must hold of it; see {@link checkInvariants}. */
export async function checkLane(lane: Lane, replays: Replays | undefined): Promise<string[]> {
  try {
    await untilAllLeft(lane);
    await settle(lane);
    return await checkInvariants(lane, replays);
  } catch (error) {
    return [`the invariants cannot be checked: ${error instanceof Error ? error.stack : String(error)}`];
  }
}

function toResult(
  name: string,
  run: {
    readonly outcomes: readonly { name: string; outcome: PointOutcome }[];
    readonly laneBreaks: readonly string[];
    readonly enough: number;
  },
): SweepResult {
  const { outcomes, laneBreaks, enough } = run;
  const points = outcomes.length;
  const harmed = outcomes.filter(({ outcome }) => outcome.harmed).length;
  const operations = outcomes.reduce((sum, { outcome }) => sum + outcome.operations, 0);
  const breaks = [
    ...outcomes.flatMap(({ name: point, outcome }) => outcome.breaks.map((broken) => `${point}: ${broken}`)),
    ...laneBreaks,
  ];
  const recoveries = outcomes.flatMap(({ outcome }) => outcome.recoveryMs ?? []);
  const share = (part: number) => (recoveries.length === 0 ? null : Math.round(percentile(recoveries, part)));
  return {
    ...{ name, points, harmed, operations },
    converged: outcomes.filter(({ outcome }) => outcome.failures.length === 0).length,
    invariantBreaks: breaks.length,
    recoveryMs: { p50: share(0.5), p99: share(0.99) },
    failures: [
      ...outcomes.flatMap(({ name: point, outcome }) => outcome.failures.map((failure) => `${point}: ${failure}`)),
      ...breaks,
      ...tooLittle({ points, harmed, operations }, enough),
    ],
  };
}

/** A run in which hardly anything was done cannot have found anything. */
function tooLittle(done: Pick<SweepResult, 'points' | 'harmed' | 'operations'>, enough: number): string[] {
  const { points, harmed, operations } = done;
  if (points > 0 && harmed >= enough * points && operations >= points) return [];
  return [`too little was done: ${points} points, ${harmed} of them harmed, ${operations} operations carried out`];
}
