import type { ContainerStats } from 'dockerode';
import type { MeteredContainer, Reading } from '../../domain/metrics/reading.ts';
import type { Clock, Meter } from '../../streamer/ports.ts';
import { type DockerConnection, statusOf } from './connection.ts';
import { readJsonLines } from './json-lines.ts';
import type { Gate } from './stats.ts';
import { toReading } from './stats-reading.ts';

/** What is pushed about one container. Only the newest is kept. */
interface Held {
  newest: Reading | undefined;
  /** The daemon said that the run is over. */
  hasEnded: boolean;
  /** Resolved by every push, and by the stream's end. */
  changed: PromiseWithResolvers<void>;
  isBroken: boolean;
}

/**
 * Reads a container by a stream that is held open: the daemon pushes once a second, and a look takes the newest push
 * that was not taken before. It waits for one when there is none. A stream that broke is opened again at the next look.
 */
export function createHeldMeter(
  docker: DockerConnection,
  container: MeteredContainer,
  { gate, clock }: { gate: Gate; clock: Clock },
): Meter {
  const closing = new AbortController();
  let held: Held | undefined;

  const follow = async (into: Held, stream: AsyncIterable<Buffer>): Promise<void> => {
    try {
      for await (const stats of readJsonLines<ContainerStats>(stream)) {
        into.newest = toReading(container.startedAt, clock, stats);
        into.hasEnded = into.newest === undefined;
        into.changed.resolve();
        into.changed = Promise.withResolvers();
      }
    } catch {
      // Broken or closed: the next look opens it again, and is told what keeps it from that.
    }
    into.isBroken = true;
    into.changed.resolve();
  };

  const open = async (signal: AbortSignal): Promise<Held> => {
    const what = `follow the stats of container ${container.id}`;
    // What the client's types leave out for streams.
    const options = { stream: true, abortSignal: closing.signal } as { stream: true };
    const stats = () => docker.client.getContainer(container.id).stats(options);
    const stream = await gate(() => docker.call(what, stats, { signal }), signal);
    const opened = { newest: undefined, hasEnded: false, changed: Promise.withResolvers<void>(), isBroken: false };
    void follow(opened, stream as AsyncIterable<Buffer>);
    return opened;
  };

  return {
    read: async (signal) => {
      try {
        if (!held || held.isBroken) held = await open(signal);
      } catch (error) {
        if (statusOf(error) === 404 || statusOf(error) === 409) return undefined;
        throw error;
      }
      const { newest } = held;
      if (!newest && !held.hasEnded) await untilChanged(held, signal);
      const reading = held.newest;
      held.newest = undefined;
      if (!reading && !held.hasEnded) throw new Error(`docker pushed nothing of container ${container.id}`);
      return reading;
    },
    close: () => closing.abort(),
  };
}

async function untilChanged(held: Held, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener('abort', () => resolve(), { once: true });
  await Promise.race([held.changed.promise, promise]);
}
