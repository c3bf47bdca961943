import { setTimeout as delay } from 'node:timers/promises';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { SamplesRequest, Streamer } from '../gateways/streamers.ts';
import type { LiveItem, NodeRound } from './merge-ticks.ts';

/** What pumping needs. */
export interface PumpDeps {
  /** Opens the samples of this deployment on one node. */
  readonly open: (
    streamer: Streamer,
    request: Pick<SamplesRequest, 'afterMs'>,
    signal: AbortSignal,
  ) => AsyncIterable<NodeRound>;
  /** Where the caller wants to begin on a node. */
  readonly afterMsOf: (nodeId: string) => number | undefined;
  readonly onRound: (nodeId: string, round: NodeRound) => void;
  /** Told when it is time to call `follow` again. */
  readonly onLookAgain: () => void;
  /** First and longest pause before a streamer whose stream ended is asked again, milliseconds. */
  readonly retryMs: { readonly first: number; readonly longest: number };
}

/** One reader of each streamer. */
export interface Pumps<Place extends Streamer> {
  /** Says that there may be other streamers. */
  lookAgain(): void;
  /** If there may be others: starts and ends readers accordingly. Says whether the deployment is gone. */
  follow(readStreamers: () => Promise<readonly Place[] | undefined>): Promise<'gone' | 'there'>;
  stop(): void;
}

/** Creates the readers; none reads before the first `follow`. */
export function createPumps<Place extends Streamer>(
  deps: PumpDeps & { readonly onPlaces: (places: readonly Place[]) => void },
  signal: AbortSignal,
): Pumps<Place> {
  const active = new Map<string, AbortController>();
  const stopping = new AbortController();
  const ended = AbortSignal.any([signal, stopping.signal]);
  let [mustLook, hasLooked] = [true, false];

  const pump = async (streamer: Streamer, own: AbortSignal): Promise<void> => {
    let afterMs = deps.afterMsOf(streamer.nodeId);
    let pauseMs = deps.retryMs.first;
    while (!own.aborted) {
      try {
        for await (const round of deps.open(streamer, { afterMs }, own)) {
          afterMs = newestOf(round.samples, afterMs);
          pauseMs = deps.retryMs.first;
          if (!own.aborted) deps.onRound(streamer.nodeId, round);
        }
      } catch {
        // The streamer is away or restarts: it is asked again, from where it broke off.
      }
      await delay(pauseMs, undefined, { signal: own }).catch(() => undefined);
      pauseMs = Math.min(2 * pauseMs, deps.retryMs.longest);
    }
  };

  const start = (streamer: Streamer): void => {
    const key = keyOf(streamer);
    if (active.has(key)) return;
    const leave = new AbortController();
    active.set(key, leave);
    void pump(streamer, AbortSignal.any([ended, leave.signal]));
  };

  const lookAgain = (): void => {
    mustLook = true;
    deps.onLookAgain();
  };

  const lookLater = (): void => {
    const wait = delay(deps.retryMs.longest, undefined, { signal: ended });
    wait.then(lookAgain, () => undefined);
  };

  return {
    lookAgain,
    follow: async (readStreamers) => {
      if (!mustLook) return 'there';
      mustLook = false;
      try {
        const streamers = await readStreamers();
        hasLooked = true;
        if (!streamers) return 'gone';
        deps.onPlaces(streamers);
        const wanted = new Set(streamers.map(keyOf));
        for (const [key, leave] of active) {
          if (wanted.has(key)) continue;
          leave.abort();
          active.delete(key);
        }
        for (const streamer of streamers) start(streamer);
      } catch (error) {
        if (!hasLooked) throw error;
        lookLater();
      }
      return 'there';
    },
    stop: () => stopping.abort(),
  };
}

function keyOf({ nodeId, streamerUrl }: Streamer): string {
  return `${nodeId} ${streamerUrl}`;
}

/** The newest moment that a node has told of. */
export function newestOf(samples: readonly LiveItem[], afterMs: number | undefined): number | undefined {
  return samples.reduce<number | undefined>((newest, { at }) => {
    const atMs = at ? timestampMs(at) : 0;
    return newest === undefined || atMs > newest ? atMs : newest;
  }, afterMs);
}
