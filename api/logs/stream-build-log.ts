import type { LogChunk, LoggedBuild } from '../../adapters/postgres/build-logs.ts';
import { invalidArgument, notFound } from '../../domain/errors.ts';
import { createWakeUp } from '../wake-up.ts';

/** A line of a build's log. */
export interface BuildLine {
  /** Rises, with gaps where lines were left out. */
  readonly number: number;
  readonly atMs: number;
  readonly text: string;
  /** Whether the platform says it. */
  readonly remark: boolean;
  readonly revision: number;
  readonly service: string;
}

/** What reading a build's log needs of the world. */
export interface BuildLogDeps {
  /** The builds of a revision; of revision 0 those of the newest one that has any. */
  readonly findBuilds: (revision: number) => Promise<readonly LoggedBuild[]>;
  /** The next lines after a number; `undefined` when there are none now. */
  readonly readChunk: (build: LoggedBuild, after: number) => Promise<LogChunk | undefined>;
  /** Calls the listener when there may be news of the deployment's builds. Returns how to end it. */
  readonly subscribe: (listener: () => void) => () => void;
  readonly heartbeatMs: number;
}

/** Which lines of which build. */
export interface WantedBuildLog {
  /** 0: the newest one that was built. */
  readonly revision: number;
  /** Empty: the only one that was built. */
  readonly service: string;
  readonly after: number;
  readonly follow: boolean;
}

/** How long the last lines of a build that is over may take, milliseconds; those of a node that died never come. */
const LAST_LINES_MS = 5_000;

/**
 * Streams the log of one build, in order, each line once; `undefined` is a heartbeat.
 *
 * Reads a part at a time, when the one before has been taken, so a slow reader holds one part of 256 KiB. Where lines
 * were left out a remark takes the number of the last of them. Following ends once the build is over and its last
 * lines were sent, or when the deployment is gone.
 *
 * @throws NOT_FOUND without such a build, INVALID_ARGUMENT when the service must be named.
 */
export async function* streamBuildLog(
  deps: BuildLogDeps,
  wanted: WantedBuildLog,
  signal: AbortSignal,
): AsyncGenerator<BuildLine | undefined> {
  const changed = createWakeUp();
  const unsubscribe = wanted.follow ? deps.subscribe(changed.wake) : () => undefined;
  // A generator that waits for a client that is gone is never resumed: the signal is what surely comes.
  signal.addEventListener('abort', unsubscribe, { once: true });
  try {
    const { revision, service } = await findWanted(deps, wanted);
    let last = wanted.after;
    for (;;) {
      signal.throwIfAborted();
      // Looked at before the lines are read: what it calls complete has all been stored by then.
      const build = (await deps.findBuilds(revision)).find((one) => one.service === service);
      if (!build) return;
      for (let chunk = await deps.readChunk(build, last); chunk; chunk = await deps.readChunk(build, last)) {
        for (const line of linesOf(build, chunk, last)) {
          yield line;
          last = line.number;
        }
      }
      const leftMs = build.isOver ? LAST_LINES_MS - build.overForMs : deps.heartbeatMs;
      if (!wanted.follow || (build.isOver && (build.isComplete || leftMs <= 0))) return;
      const isWoken = await changed.wait(Math.min(leftMs, deps.heartbeatMs), signal);
      if (!isWoken && !build.isOver && !signal.aborted) yield undefined;
    }
  } finally {
    signal.removeEventListener('abort', unsubscribe);
    unsubscribe();
  }
}

async function findWanted(deps: BuildLogDeps, { revision, service }: WantedBuildLog): Promise<LoggedBuild> {
  const builds = await deps.findBuilds(revision);
  const [found, ...others] = service === '' ? builds : builds.filter((build) => build.service === service);
  if (!found) throw notFound('build');
  if (others.length === 0) return found;
  const names = builds.map((build) => build.service).join(', ');
  throw invalidArgument('service', 'is missing, and several services were built', `one of ${names}`);
}

function* linesOf({ revision, service }: LoggedBuild, { firstNumber, lines }: LogChunk, last: number) {
  const of = { revision, service };
  const [begin] = lines;
  const leftOut = firstNumber - last - 1;
  if (leftOut > 0 && begin) {
    const text = `${leftOut.toLocaleString('en')} ${leftOut === 1 ? 'line is' : 'lines are'} left out here`;
    yield { ...of, number: firstNumber - 1, atMs: begin[0], text, remark: true };
  }
  for (const [index, [atMs, text, remark]] of lines.entries()) {
    const number = firstNumber + index;
    if (number > last) yield { ...of, number, atMs, text, remark: remark === 1 };
  }
}
