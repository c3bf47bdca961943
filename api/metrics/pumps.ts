import { setTimeout as delay } from 'node:timers/promises';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { Delivery } from '../../domain/metrics/conflating-buffer.ts';
import type { ContainerSample } from '../../gen/obiente/cloud/v1/metrics_pb.ts';
import type { SamplesRequest, Streamer } from '../gateways/streamers.ts';

/** What pumping needs. */
export interface PumpDeps {
  /** Opens the samples of this deployment on one node. */
  readonly open: (
    streamer: Streamer,
    request: Pick<SamplesRequest, 'afterMs'>,
    signal: AbortSignal,
  ) => AsyncIterable<Delivery<ContainerSample>>;
  /** Where the caller wants to begin. */
  readonly afterMs: number | undefined;
  readonly onDelivery: (delivery: Delivery<ContainerSample>) => void;
  /** Told when it is time to call `follow` again. */
  readonly onLookAgain: () => void;
  /** First and longest pause before a streamer whose stream ended is asked again, milliseconds. */
  readonly retryMs: { readonly first: number; readonly longest: number };
}

/** One reader of each streamer. */
export interface Pumps {
  /** Says that there may be other streamers. */
  lookAgain(): void;
  /** If there may be others: starts and ends readers accordingly. Says whether the deployment is gone. */
  follow(readStreamers: () => Promise<readonly Streamer[] | undefined>): Promise<'gone' | 'there'>;
  stop(): void;
}

/** Creates the readers; none reads before the first `follow`. */
export function createPumps(deps: PumpDeps, signal: AbortSignal): Pumps {
  const active = new Map<string, AbortController>();
  const stopping = new AbortController();
  const ended = AbortSignal.any([signal, stopping.signal]);
  let [mustLook, hasLooked] = [true, false];

  const pump = async (streamer: Streamer, own: AbortSignal): Promise<void> => {
    let { afterMs } = deps;
    let pauseMs = deps.retryMs.first;
    while (!own.aborted) {
      try {
        for await (const delivery of deps.open(streamer, { afterMs }, own)) {
          afterMs = newestOf(delivery.samples, afterMs);
          pauseMs = deps.retryMs.first;
          deps.onDelivery(delivery);
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

function newestOf(samples: readonly ContainerSample[], afterMs: number | undefined): number | undefined {
  return samples.reduce<number | undefined>((newest, { at }) => {
    const atMs = at ? timestampMs(at) : 0;
    return newest === undefined || atMs > newest ? atMs : newest;
  }, afterMs);
}
