import type { ContainerStats } from 'dockerode';
import { chooseDockerWay, type DockerWay } from '../../domain/metrics/docker-way.ts';
import type { MeteredContainer, Reading } from '../../domain/metrics/reading.ts';
import { type Clock, type Meter, type ReadingSource, SYSTEM_CLOCK } from '../../streamer/ports.ts';
import { type DockerConnection, statusOf } from './connection.ts';
import { createHeldMeter } from './held-stats.ts';
import { toReading } from './stats-reading.ts';

/**
 * What stands between the streamer and a daemon in trouble: runs a call, again after a pause when that is worth it, or
 * refuses it at once. No retry begins after the signal.
 */
export type Gate = <Answer>(call: () => Promise<Answer>, signal?: AbortSignal) => Promise<Answer>;

/** How Docker is asked. */
export interface DockerStatsOptions {
  readonly gate: Gate;
  readonly clock?: Clock;
  /** Containers that are read at the same time at most. */
  readonly maxWorkers: number;
  /** Time that a round may take now, milliseconds. */
  readonly deadlineMs: () => number;
}

/**
 * Creates the portable way of reading: Docker's stats API.
 *
 * It costs the daemon milliseconds of CPU per container, and before version 26 even a one-shot answer waits a second for
 * the daemon's own collector, so it is for where the kernel's files cannot be read. What the daemon is decides how it is
 * asked; it is asked for its version at the first look, and again when it has failed, since it may come back as another.
 */
export function createDockerStatsSource(docker: DockerConnection, options: DockerStatsOptions): ReadingSource {
  const { gate, clock = SYSTEM_CLOCK, maxWorkers, deadlineMs } = options;
  let engineVersion: Promise<string> | undefined;
  let containers = 0;

  const askVersion = async (): Promise<string> => {
    const { Version } = await docker.call('ask for the version', () => docker.impatient.version());
    return Version;
  };
  const wayNow = async (): Promise<DockerWay> => {
    engineVersion ??= gate(askVersion);
    return chooseDockerWay({ engineVersion: await engineVersion, containers, maxWorkers, deadlineMs: deadlineMs() });
  };

  const openMeter = (container: MeteredContainer): Meter => {
    let held: Meter | undefined;
    let isOpen = true;
    containers += 1;
    const letGo = (): void => {
      held?.close();
      held = undefined;
    };
    return {
      read: async (signal) => {
        try {
          if ((await wayNow()) === 'held') {
            held ??= createHeldMeter(docker, container, { gate, clock });
            return await held.read(signal);
          }
          letGo();
          return await gate(() => readStats(docker, container, { clock, signal }), signal);
        } catch (error) {
          letGo();
          engineVersion = undefined;
          throw error;
        }
      },
      close: () => {
        letGo();
        if (isOpen) containers -= 1;
        isOpen = false;
      },
    };
  };
  return { open: openMeter };
}

async function readStats(
  docker: DockerConnection,
  container: MeteredContainer,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): Promise<Reading | undefined> {
  try {
    const path = `/containers/${container.id}/stats?stream=false&one-shot=true`;
    const what = `read the stats of container ${container.id}`;
    const stats = await docker.getJson(what, path, signal);
    return toReading(container.startedAt, clock, stats as ContainerStats);
  } catch (error) {
    if (statusOf(error) === 404 || statusOf(error) === 409) return undefined;
    throw error;
  }
}
