import { setTimeout as delay } from 'node:timers/promises';
import type { ContainerEvent } from '../../domain/container.ts';
import { LABEL } from '../../domain/naming.ts';
import type { DockerConnection } from './connection.ts';
import { readJsonLines } from './json-lines.ts';

/** What changes a replica's state; `exec` and the like are noise. */
const WATCHED = ['start', 'die', 'oom', 'destroy', 'health_status'] as const;

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

interface EventMessage {
  readonly Action?: string;
  readonly id?: string;
  readonly time?: number;
  readonly Actor?: { readonly Attributes?: Readonly<Record<string, string>> };
}

/** The events of one daemon. */
export interface DockerEvents {
  /**
   * Follows what happens to this installation's containers, until aborted.
   *
   * Every connection, the first included, begins with `connected`: what happened before it may never be told (a daemon
   * forgets its events with a restart), so that is the moment to look at everything. A lost connection is opened again
   * after a growing pause, from where it broke off; an event may therefore come twice.
   */
  followEvents(signal: AbortSignal): AsyncGenerator<ContainerEvent>;
}

/** What else a container may be known as; `undefined` where it is known by its own id. */
type OtherId = (labels: Readonly<Record<string, string>>) => string | undefined;

/**
 * Creates the part of the adapter that deals with events.
 *
 * @param otherId of a container that comes and goes while what it stands for stays: it is told of by that id, and its end
 * is a change.
 */
export function createDockerEvents(
  docker: DockerConnection,
  instance: string,
  otherId: OtherId = () => undefined,
): DockerEvents {
  const open = async (since: number | undefined, signal: AbortSignal): Promise<AsyncIterable<Buffer>> => {
    const filters = {
      type: ['container' as const],
      event: [...WATCHED],
      label: [`${LABEL.managed}=true`, `${LABEL.instance}=${instance}`],
    };
    const resume = since === undefined ? {} : { since };
    const stream = await docker.call(
      'follow events',
      () => docker.client.getEvents({ filters, ...resume, abortSignal: signal }),
      { signal },
    );
    return stream as AsyncIterable<Buffer>;
  };

  return {
    followEvents: async function* (signal) {
      let since: number | undefined;
      for (let pauseMs = FIRST_PAUSE_MS; !signal.aborted; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
        try {
          const stream = await open(since, signal);
          pauseMs = FIRST_PAUSE_MS;
          yield { kind: 'connected' };
          for await (const message of readJsonLines<EventMessage>(stream)) {
            since = message.time ?? since;
            const event = toContainerEvent(message, otherId);
            if (event) yield event;
          }
        } catch {
          // Whatever broke the connection, what follows is the same: pause and open it again.
        }
        await delay(pauseMs, undefined, { signal, ref: false }).catch(() => undefined);
      }
    },
  };
}

function toContainerEvent({ Action: action, id, Actor }: EventMessage, otherId: OtherId): ContainerEvent | undefined {
  if (!id || !action) return undefined;
  const other = otherId(Actor?.Attributes ?? {});
  const containerId = other ?? id;
  if (action === 'destroy') return { kind: other === undefined ? 'removed' : 'changed', containerId };
  if (action === 'oom') return { kind: 'out-of-memory', containerId };
  const exitCode = Number(Actor?.Attributes?.exitCode ?? Number.NaN);
  if (action === 'die' && Number.isInteger(exitCode)) return { kind: 'exited', containerId, exitCode };
  return { kind: 'changed', containerId };
}
