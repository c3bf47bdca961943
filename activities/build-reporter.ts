import { createOutgoingLines, KEPT_LOG, toKeptLine } from '../domain/build-log.ts';
import { isDomainError, RETRYABLE } from '../domain/errors.ts';
import { createWakeUp } from './wake-up.ts';

/** What a node tells the control plane of a build. */
export interface BuildReport {
  readonly deploymentId: string;
  readonly revision: number;
  readonly service: string;
  /** Orders the attempts of a build: when this one was scheduled, milliseconds since 1970. */
  readonly attempt: number;
  readonly phase: BuildPhase;
  /** Number of the first line within the attempt, from 1; what lies between it and the one before was left out. */
  readonly firstNumber: number;
  readonly lines: readonly { readonly atMs: number; readonly text: string }[];
  /** Whether the attempt prints nothing more. */
  readonly complete: boolean;
}

/** Whether a build has one of its node's places already. */
export type BuildPhase = 'waiting' | 'building';

/** Tells how one attempt of a build goes. Never throws, and never makes who calls it wait for the control plane. */
export interface BuildReporter {
  enter(phase: BuildPhase): void;
  /** Adds a line as the build printed it. */
  print(raw: string): void;
  /**
   * Says that nothing more comes, and returns once all of it has arrived; after 2 s it returns all the same, and what
   * is left is tried for another minute.
   */
  close(): Promise<void>;
}

/** What is told, to whom, and what must not be. */
export interface ReporterOptions {
  readonly of: Pick<BuildReport, 'deploymentId' | 'revision' | 'service' | 'attempt'>;
  /** @returns whether the report counts: `false` means that nothing more is wanted. */
  send(report: BuildReport): Promise<boolean>;
  /** Blanks what must not be seen. */
  mask(text: string): string;
  /** Told why nothing more is sent. */
  onProblem(error: unknown): void;
}

/** Lines that wait while the control plane does not answer: as many as are kept of a whole log. */
const HELD = { characters: KEPT_LOG.head.bytes + KEPT_LOG.tail.bytes, lines: 100_000 };

/** One report. Its lines are in the message as UTF-8, so it has at most three times as many bytes. */
const BATCH = { characters: 256 * 1024, lines: 2_000 };

/** Lines are gathered for so long: a person who follows sees each within a second. */
const GATHER_MS = 200;

/** Of what is beyond a whole log only the end is kept: until then a little a second shows who follows what goes on. */
const FLOOD_BATCH = { characters: 32 * 1024, lines: 500 };
const FLOOD_PAUSE_MS = 1_000;

/** A wait for something to say ends by itself now and then; nothing depends on it. */
const IDLE_MS = 60_000;

const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 5_000;

const CLOSE_WAITS_MS = 2_000;
const CLOSE_GIVES_UP_MS = 60_000;

/** Creates the reporter of one attempt. Lines that find no room push out the oldest that wait. */
export function createBuildReporter(options: ReporterOptions): BuildReporter {
  const outgoing = createOutgoingLines(HELD);
  const news = createWakeUp();
  const closing = createWakeUp();
  const over = new AbortController();
  let phase: BuildPhase | undefined;
  let told: BuildPhase | undefined;
  let isClosed = false;
  let sent = 0;

  const isFlood = (): boolean => sent > HELD.characters && !isClosed;

  const nextReport = (): BuildReport | undefined => {
    const { firstNumber, lines } = outgoing.take(isFlood() ? FLOOD_BATCH : BATCH);
    const complete = isClosed && outgoing.size() === 0;
    if (phase === undefined) return undefined;
    if (lines.length === 0 && told === phase && !complete) return undefined;
    const kept = lines.map(({ atMs, raw }) => ({ atMs, text: toKeptLine(raw, options.mask) }));
    return { ...options.of, phase, firstNumber, lines: kept, complete };
  };

  const deliver = async (report: BuildReport): Promise<void> => {
    for (let retryMs = FIRST_RETRY_MS; ; retryMs = Math.min(2 * retryMs, LONGEST_RETRY_MS)) {
      try {
        if (!(await options.send(report))) over.abort(new Error('a later attempt of the build has begun'));
        return;
      } catch (error) {
        if (isDomainError(error) && !RETRYABLE[error.code]) throw error;
        await createWakeUp().wait(retryMs, over.signal);
      }
    }
  };

  const run = async (): Promise<void> => {
    for (;;) {
      const report = nextReport();
      if (report) {
        await deliver(report);
        told = report.phase;
        sent += report.lines.reduce((sum, { text }) => sum + text.length, 0);
        if (report.complete) return;
      } else if (isClosed) return;
      else await news.wait(IDLE_MS, over.signal);
      over.signal.throwIfAborted();
      if (isFlood()) await closing.wait(FLOOD_PAUSE_MS, over.signal);
      else if (!isClosed && outgoing.characters() < BATCH.characters) await closing.wait(GATHER_MS, over.signal);
    }
  };
  const ended = run().catch((error: unknown) => {
    over.abort(error);
    options.onProblem(error);
  });

  return {
    enter: (next) => {
      phase = next;
      news.ring();
    },
    print: (raw) => {
      if (over.signal.aborted) return;
      outgoing.push({ atMs: Date.now(), raw });
      news.ring();
    },
    close: async () => {
      isClosed = true;
      news.ring();
      closing.ring();
      const giveUp = setTimeout(() => over.abort(new Error('its last lines could not be sent')), CLOSE_GIVES_UP_MS);
      giveUp.unref();
      void ended.then(() => clearTimeout(giveUp));
      const patience = Promise.withResolvers<void>();
      const timer = setTimeout(patience.resolve, CLOSE_WAITS_MS);
      await Promise.race([ended, patience.promise]);
      clearTimeout(timer);
    },
  };
}
