import { Context } from '@temporalio/activity';
import type { EnsureReplicaInput, NodeActivities } from '../contracts/node-activities.ts';
import type { StartedReplica } from '../contracts/rollout.ts';
import type { ObservedContainer, PresentImage, WantedContainer } from '../domain/container.ts';
import { DomainError, isDomainError } from '../domain/errors.ts';
import { containerName, LABEL } from '../domain/naming.ts';
import { awaitHealthy } from './await-healthy.ts';
import { type Heartbeats, withHeartbeats } from './heartbeats.ts';
import type { ReplicaPorts } from './node-ports.ts';
import { planContainer } from './plan-container.ts';
import { networkOf, prepare } from './prepare-replica.ts';
import { whileDaemonAnswers } from './while-daemon-answers.ts';

/** A replica that never served needs no time to finish requests, only to put its own things in order. */
const GIVE_UP_GRACE_MS = 2_000;

/** How to release what an attempt has claimed: while it watches a replica, its gate alone judges exits. */
type Releases = (() => void)[];

/**
 * Creates the activity that brings one replica up and returns once it is healthy.
 *
 * Safe to run twice: the container is named after the replica, so a retry after a crash finds what the first attempt
 * created and goes on with it. Heartbeats tell the step and the container. A failed health check, an exit or a cancel
 * remove the container; a shutdown of this process, a timeout and a silent Docker leave it for the retry to adopt.
 */
export function createEnsureReplica(ports: ReplicaPorts): Pick<NodeActivities, 'ensureReplica'> {
  return {
    ensureReplica: (input) =>
      withHeartbeats({ step: 'prepare' }, async (heartbeats) => {
        const { cancellationSignal } = Context.current();
        if (!input.mayLeave) return await attempt(input, ports, { heartbeats, signal: cancellationSignal });
        return await whileDaemonAnswers(ports.daemon, {
          work: (left) => attempt(input, ports, { heartbeats, signal: AbortSignal.any([cancellationSignal, left]) }),
          undo: () => giveUp(input, ports),
        });
      }),
  };
}

/** What an attempt is given beside its input: the signal says that nobody waits for it any more. */
interface Attempt {
  readonly heartbeats: Heartbeats;
  readonly signal: AbortSignal;
}

async function attempt(input: EnsureReplicaInput, ports: ReplicaPorts, of: Attempt): Promise<StartedReplica> {
  const releases: Releases = [];
  const context = Context.current();
  try {
    return await bringUp(input, ports, { ...of, releases });
  } catch (error) {
    if (mustCleanUp(error, context)) await giveUp(input, ports);
    throw error;
  } finally {
    for (const release of releases) release();
  }
}

async function bringUp(
  input: EnsureReplicaInput,
  ports: ReplicaPorts,
  { heartbeats, signal, releases }: Attempt & { readonly releases: Releases },
): Promise<StartedReplica> {
  const { template, replicaId } = input;
  const watch = startWatch();
  const { image, environment } = await prepare(input, ports, heartbeats);
  signal.throwIfAborted();
  const prepareMs = watch();
  const wanted = planContainer(input, { instance: ports.instance, imageId: image.imageId, environment });
  heartbeats.report({ step: 'start' });
  const { container, restartsBefore } = await ports.startSlot(() =>
    createAndStart(input, wanted, { ...ports, releases }),
  );
  signal.throwIfAborted();
  const startMs = watch();
  heartbeats.report({ step: 'await health', containerId: container.id });
  const secrets = Object.values(environment);
  const starting = { template, replicaId, container, restartsBefore, secrets };
  const healthy = await awaitHealthy(starting, ports, signal);
  ports.foundHealthy(healthy);
  const times = { prepareMs, startMs, healthyMs: watch() };
  return toStartedReplica(input, { container: healthy, image, times, host: ports.nodeAddress });
}

/** Tells at each call how many milliseconds have passed since the one before. */
function startWatch(): () => number {
  let since = performance.now();
  return () => {
    const now = performance.now();
    const passed = Math.round(now - since);
    since = now;
    return passed;
  };
}

/** Past this point of no return a cancel waits: what Docker was asked for is finished, and then taken back. */
async function createAndStart(
  { template }: EnsureReplicaInput,
  wanted: WantedContainer,
  { runtime, instance, restarts, releases }: ReplicaPorts & { releases: Releases },
): Promise<{ container: ObservedContainer; restartsBefore: number }> {
  for (let again = true; ; again = false) {
    const { id, adopted } = await runtime.createContainer(wanted).catch((error: unknown) => {
      // The image, or the network, went away since it was made present: the next attempt makes it present again.
      throw vanished(error);
    });
    releases.push(await restarts.claim(id));
    const restartsBefore = adopted ? ((await runtime.findContainer(id))?.restarts ?? 0) : 0;
    try {
      await runtime.startContainer(id);
    } catch (error) {
      if (!again || !mayStartWhenMadeAgain(error)) throw vanished(error);
      runtime.forgetNetwork(wanted.network);
      await runtime.removeContainer(id);
      await runtime.ensureNetwork(networkOf(template, instance));
      continue;
    }
    const container = await runtime.findContainer(id);
    if (container) return { container, restartsBefore };
    throw new DomainError('DOCKER_UNAVAILABLE', `container ${wanted.name} was removed just after it was started`);
  }
}

/**
 * The project's network, or the container itself, went away since it was seen; or the daemon refused to run it, which is
 * mostly the command's fault, but a daemon in trouble says so of any.
 */
function mayStartWhenMadeAgain(error: unknown): boolean {
  return isDomainError(error) && (error.code === 'NOT_FOUND' || error.code === 'REPLICA_EXITED');
}

/** Something that goes away under our hands is no final answer. */
function vanished(error: unknown): unknown {
  if (!isDomainError(error) || error.code !== 'NOT_FOUND') return error;
  return new DomainError('DOCKER_UNAVAILABLE', error.message, { cause: error });
}

function mustCleanUp(error: unknown, context: Context): boolean {
  if (isDomainError(error) && (error.code === 'REPLICA_UNHEALTHY' || error.code === 'REPLICA_EXITED')) return true;
  return context.cancellationDetails?.cancelRequested ?? false;
}

/** By name: a create that seemed to fail may have been carried out. What cannot be removed now, the workflow's undo does. */
async function giveUp(
  { template, index }: EnsureReplicaInput,
  { instance, runtime, restarts }: ReplicaPorts,
): Promise<void> {
  const { deploymentId, revision } = template;
  try {
    const found = await runtime.findContainer(containerName({ instance, deploymentId, revision, index }));
    if (found?.labels[LABEL.deploymentId] !== deploymentId) return;
    await restarts.retire(found);
    await runtime.stopContainer(found.id, GIVE_UP_GRACE_MS);
    await runtime.removeContainer(found.id);
  } catch (error) {
    Context.current().log.warn('a replica that was given up could not be removed yet', { error });
  }
}

interface Started {
  readonly container: ObservedContainer;
  readonly image: PresentImage;
  readonly times: StartedReplica['times'];
  readonly host: string;
}

function toStartedReplica(
  { template, replicaId }: EnsureReplicaInput,
  { container, image, times, host }: Started,
): StartedReplica {
  const { hostPort } = container;
  if (template.port !== null && hostPort === null) {
    throw new DomainError(
      'DOCKER_UNAVAILABLE',
      `docker has not published port ${template.port} of replica ${replicaId}`,
    );
  }
  return {
    replicaId,
    containerId: container.id,
    imageDigest: image.digest,
    address: hostPort === null ? null : { host, port: hostPort },
    startedAt: container.startedAt ?? '',
    attempt: Context.current().info.attempt,
    times,
  };
}
