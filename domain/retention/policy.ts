/** What is kept, and for how long. Spans in milliseconds. */
export interface RetentionPolicy {
  /** So many of the newest revisions of a deployment stay, whatever became of them. */
  readonly revisions: number;
  /** Operations and events that are older go. */
  readonly historyMs: number;
  /** What a build printed goes so long after its end; that it was stays with its revision. */
  readonly buildLogsMs: number;
  /** So many of the newest operations of a deployment stay within that time. */
  readonly operations: number;
  /** The same of its events. */
  readonly events: number;
  /** Younger history stays however much of it there is: somebody may still be looking at what it tells. */
  readonly historyFloorMs: number;
  /** How long a repeated mutation outside of deployments is recognised by its key. */
  readonly mutationKeysMs: number;
  /** A context that nothing names stays for so long after it was uploaded or asked for: its deploy may be on its way. */
  readonly contextsMs: number;
  /** An image that nobody has asked for during this time may go: within it, a rollout may be about to start it. */
  readonly imagesMs: number;
  /** The same for images that builds have begun with, which the next build needs again. */
  readonly baseImagesMs: number;
  /** A container or a network that no record owns stays for so long after it was made; absent: five minutes. */
  readonly orphansMs?: number;
  /** What a daemon's build cache is cut down to, bytes; `null` leaves it alone. */
  readonly buildCacheBytes: number | null;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/**
 * Twenty revisions are more than anybody returns to; 90 days of history are a quarter; a thousand operations are a
 * month of a deploy every three quarters of an hour, with ten events each. Keys last longer than any client retries.
 */
export const DEFAULT_RETENTION: RetentionPolicy = {
  revisions: 20,
  historyMs: 90 * DAY_MS,
  buildLogsMs: 30 * DAY_MS,
  operations: 1_000,
  events: 10_000,
  historyFloorMs: DAY_MS,
  mutationKeysMs: 30 * DAY_MS,
  contextsMs: DAY_MS,
  imagesMs: HOUR_MS,
  baseImagesMs: 7 * DAY_MS,
  orphansMs: 300_000,
  buildCacheBytes: null,
};
