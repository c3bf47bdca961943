import { setTimeout as delay } from 'node:timers/promises';
import { DomainError } from '../../../domain/errors.ts';
import { cannotRun, nothingToRun } from '../containers.ts';
import type { ReplicaParts } from './find-replica.ts';
import type { KnownTask } from './services.ts';

/** Longest that a manager may take to schedule a task, and its node to start the container. */
const START_WITHIN_MS = 60_000;

/** Swarm tells no event of a task, so a start is looked at again and again, less and less often. */
const FIRST_LOOK_MS = 50;
const LONGEST_PAUSE_MS = 500;

const ENDED = ['complete', 'shutdown', 'failed', 'rejected', 'remove', 'orphaned'];

/**
 * Creates the start of a service's task; returns once its container has been started on this host. One that runs already
 * counts as started.
 *
 * The function throws REPLICA_EXITED (final) when its command cannot be run; NOT_FOUND when the service or its network is
 * gone; DOCKER_UNAVAILABLE (retryable) when the managers have not had it started in time.
 */
export function createStartTask({ docker, services, tasks }: Omit<ReplicaParts, 'find'>) {
  const hasStarted = async (serviceId: string, earlier: ReadonlySet<string>): Promise<boolean> => {
    for (const { Id: id, State } of await tasks.ofService(serviceId)) {
      if (State === 'running') return true;
      if (State !== 'exited' || earlier.has(id)) continue;
      const { State: state } = await docker.call(`inspect container ${id}`, (abortSignal) =>
        docker.client.getContainer(id).inspect({ abortSignal }),
      );
      // One that ended at once has been started all the same; one whose command is not there never was.
      if (!state.StartedAt.startsWith('0001-')) return true;
    }
    return false;
  };

  return async (serviceId: string): Promise<void> => {
    const earlier = new Set((await tasks.ofService(serviceId)).filter(isOver).map(({ Id }) => Id));
    if (await hasStarted(serviceId, earlier)) return;
    const before = await services.tasksOf(serviceId);
    const isUnderWay = before.some(({ state, desiredState }) => !ENDED.includes(state) && desiredState !== 'remove');
    if (!(await services.setTasks(serviceId, 1, before.length > 0 && !isUnderWay))) throw gone(serviceId);
    const known = new Set(before.filter(({ state }) => ENDED.includes(state)).map(({ id }) => id));
    const endsAt = performance.now() + START_WITHIN_MS;
    for (let pauseMs = FIRST_LOOK_MS; ; pauseMs = Math.min(1.5 * pauseMs, LONGEST_PAUSE_MS)) {
      await delay(pauseMs);
      if (await hasStarted(serviceId, earlier)) return;
      const started = (await services.tasksOf(serviceId)).filter(({ id }) => !known.has(id));
      const failed = started.find(({ state }) => state === 'failed' || state === 'rejected');
      // Its container may have been started and ended between the two looks.
      if (failed && (await hasStarted(serviceId, earlier))) return;
      if (failed) throw whyNot(failed);
      if (performance.now() > endsAt) throw tooLate(serviceId, started);
    }
  };
}

function isOver({ State }: { readonly State: string }): boolean {
  return State === 'exited' || State === 'dead';
}

function whyNot({ error: reason }: KnownTask): DomainError {
  if (/no command specified/i.test(reason)) return nothingToRun(undefined);
  if (/network .*not found|could not find network/i.test(reason)) return new DomainError('NOT_FOUND', reason);
  if (/no such image|invalid mount|starting container failed|non-zero exit/i.test(reason)) {
    return cannotRun(undefined, reason);
  }
  return new DomainError('DOCKER_UNAVAILABLE', `swarm could not start the replica: ${reason}`);
}

function tooLate(serviceId: string, started: readonly KnownTask[]): DomainError {
  const [{ state, error } = { state: 'not there', error: '' }] = started;
  const why = error === '' ? state : `${state}: ${error}`;
  return new DomainError('DOCKER_UNAVAILABLE', `swarm has not started service ${serviceId} yet: its task is ${why}`, {
    hint: 'Look at `docker node ls`: the node has to be ready and active.',
  });
}

function gone(serviceId: string): DomainError {
  return new DomainError('NOT_FOUND', `there is no service ${serviceId}`);
}
