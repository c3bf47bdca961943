/** How Docker's stats are taken: a call each time, or a stream a container that is held open. */
export type DockerWay = 'one-shot' | 'held';

/** What decides it. */
export interface DockerLoad {
  /** As the daemon says: `20.10.24+dfsg1`. */
  readonly engineVersion: string;
  /** Containers read this way. */
  readonly containers: number;
  /** Calls at the same time at most. */
  readonly maxWorkers: number;
  /** Time that a round may take, milliseconds. */
  readonly deadlineMs: number;
}

/** The first engine whose one-shot answer was measured not to wait: 1.4 ms a call, where those before take a second. */
const FIRST_PROMPT_MAJOR = 26;

/** One turn of an older daemon's collector, with what the answer takes. */
const COLLECTOR_TURN_MS = 1_100;

/** Each holds a connection on both sides; with more containers than this the rounds of such a daemon are cut short. */
export const MAX_HELD_STREAMS = 500;

/**
 * Chooses the way.
 *
 * A stream is pushed once a second and costs an old daemon 3.0 ms of CPU each time, a one-shot call 4.3 ms: at an interval
 * of five seconds streams cost it three times as much. So they are taken only where calls, each of which waits for
 * the collector, would not end in time: with more containers than the workers can ask before the deadline, or with a
 * deadline within two seconds.
 */
export function chooseDockerWay(load: DockerLoad): DockerWay {
  const major = Number.parseInt(load.engineVersion, 10);
  if (Number.isNaN(major) || major >= FIRST_PROMPT_MAJOR) return 'one-shot';
  const turns = Math.max(1, Math.ceil(load.containers / load.maxWorkers));
  return turns * COLLECTOR_TURN_MS > load.deadlineMs && load.containers <= MAX_HELD_STREAMS ? 'held' : 'one-shot';
}
