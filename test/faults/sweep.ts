import type { Commit } from './history.ts';
import type { Lane } from './lane.ts';
import type { Course, OperationName } from './operations.ts';
import type { Random } from './random.ts';
import type { Replays } from './replays.ts';
import type { SubjectState } from './subject-state.ts';

/** How an operation goes when nothing is harmed. */
export interface Unharmed {
  /** What it adds to the history of its deployment, counted from 1. */
  readonly commits: readonly Commit[];
  /** Where it ends. */
  readonly state: SubjectState;
}

/** What is known of the operations of a course. */
export interface UnharmedCourse {
  readonly course: Course;
  of(operation: OperationName): Unharmed;
}

/** What sweeps work with. */
export interface Bed {
  readonly lanes: readonly Lane[];
  readonly random: Random;
  readonly replays: Replays;
  /** Measured once, on the first lane. */
  unharmed(course: Course): Promise<UnharmedCourse>;
}

/** What came of one point. */
export interface PointOutcome {
  /** Whether the fault was really done to the operation: a point at which nothing was harmed proves nothing. */
  readonly harmed: boolean;
  /** From the fault to the end of the operation; `null` where that means nothing. */
  readonly recoveryMs: number | null;
  /** Operations that were carried out to their end, those for preparation left out. */
  readonly operations: number;
  /** How it did not end as it should; empty when it converged. */
  readonly failures: readonly string[];
  /** Invariants that did not hold meanwhile. */
  readonly breaks: readonly string[];
}

/** One place at which something is harmed. */
export interface Point {
  readonly name: string;
  /**
   * Points of one life are run one after another on one lane, in their order: each of them goes on with the subject that
   * the one before has left, as long as that one converged. Absent where a point begins and ends by itself.
   */
  readonly life?: number;
  run(lane: Lane): Promise<PointOutcome>;
}

/** A kind of fault, and all the points at which it is done. */
export interface Sweep {
  readonly name: string;
  /** One line: what is done, and what must come of it. */
  readonly about: string;
  /** How many points `npm test` takes, chosen anew each time. */
  readonly sampled: number;
  /** How many points may run on one lane at a time: one where a whole process is harmed. */
  readonly atATime: number;
  /**
   * Whether there is a bound on its recoveries that a busy machine would break: then it is run before the others, alone, on
   * no more lanes than there are cores.
   */
  readonly isTimed?: boolean;
  /** Whether it waits for time-outs nearly all of its time: then it is run beside the others, on lanes of its own. */
  readonly isPatient?: boolean;
  /** Its points. Those of a `sampled` run may be smaller. */
  points(bed: Bed, options: { readonly sampled: boolean }): Promise<readonly Point[]>;
}

/** A sweep that was run; `.obiente/reports/faults.json` holds these. */
export interface SweepResult {
  readonly name: string;
  readonly points: number;
  readonly harmed: number;
  readonly converged: number;
  readonly operations: number;
  readonly invariantBreaks: number;
  readonly recoveryMs: { readonly p50: number | null; readonly p99: number | null };
  /** What went wrong, point by point. */
  readonly failures: readonly string[];
}
