import { isCancellation, log } from '@temporalio/workflow';
import type { PlannedReplica, ServicePlan, StartedReplica } from '../contracts/rollout.ts';
import type { RolloutStep } from '../domain/rollout.ts';
import { onNode, store } from './activity-stubs.ts';
import { allOrCancelled } from './all-or-cancelled.ts';
import { carryVolumes } from './carry-volumes.ts';
import type { Rollout, Tracked } from './converge.ts';
import { isFrom } from './failures.ts';
import { tellDoomed } from './tell-doomed.ts';
import { waitForNode } from './wait-for-node.ts';

/** How many replicas of one rollout are started at a time; a node bounds its own share further. */
const START_BATCH = 100;

/** Starts so many replicas of each service, and returns once all of them are healthy. */
export async function startReplicas(
  rollout: Rollout,
  starts: Extract<RolloutStep, { kind: 'start' }>['starts'],
): Promise<void> {
  await reserveMissing(rollout, starts);
  await carryVolumes(rollout);
  const groups = new Map(starts.map(({ service, count }) => [service, take(rollout, service, count)]));
  const services = rollout.plan.services.filter(({ template }) => groups.has(template.service));
  await allOrCancelled(
    inOrderOfNeeds(services, (service) => startService(rollout, groups.get(service.template.service) ?? [])),
  );
}

/** Each service begins when those that it needs are healthy; what is not started here is there already. */
function inOrderOfNeeds(
  services: readonly ServicePlan[],
  start: (service: ServicePlan) => Promise<void>,
): (() => Promise<void>)[] {
  const begun = new Map<string, Promise<void>>();
  const begin = (service: ServicePlan): Promise<void> => {
    const known = begun.get(service.template.service);
    if (known) return known;
    const needed = services.filter(({ template }) => service.needs.includes(template.service));
    const started = Promise.all(needed.map(begin)).then(() => start(service));
    begun.set(service.template.service, started);
    return started;
  };
  return services.map((service) => () => begin(service));
}

/** The first ones are reserved with the plan; for later ones there may only be room now. */
async function reserveMissing(rollout: Rollout, starts: Parameters<typeof startReplicas>[1]): Promise<void> {
  const wanted = starts.flatMap(({ service, count }) => {
    const there = rollout.unstarted.filter((replica) => replica.service === service).length;
    const goal = rollout.plan.goal.find(({ name }) => name === service);
    return goal && count > there ? [{ service, revision: goal.revision, count: count - there }] : [];
  });
  if (wanted.length === 0) return;
  rollout.batch += 1;
  const { ref, batch, timing } = rollout;
  const reserve = () => store.reserveReplicas({ ...ref, batch, starts: wanted, ...wayOf(rollout) });
  const reserved = await waitForNode(reserve, timing.nodePickUpMs);
  rollout.unstarted = [...rollout.unstarted, ...reserved];
}

/** Nobody stops what is on the way back. */
function wayOf({ words }: Rollout): { readonly back?: true } {
  return words === undefined ? { back: true } : {};
}

function take(rollout: Rollout, service: string, count: number): PlannedReplica[] {
  const taken = rollout.unstarted.filter((replica) => replica.service === service).slice(0, count);
  rollout.unstarted = rollout.unstarted.filter((replica) => !taken.includes(replica));
  return taken;
}

/** The first one alone while the digest is open, so that all replicas of a revision run the same image. */
async function startService(rollout: Rollout, replicas: readonly PlannedReplica[]): Promise<void> {
  const rest = [...replicas];
  while (rest.length > 0) {
    const image = rollout.images.get(rest[0]?.service ?? '');
    const pinned = image?.kind === 'built' || image?.digest != null;
    const batch = rest.splice(0, pinned ? START_BATCH : 1);
    await allOrCancelled(batch.map((replica) => () => startReplica(rollout, replica)));
  }
}

async function startReplica(rollout: Rollout, replica: PlannedReplica): Promise<void> {
  const { plan, timing, images } = rollout;
  const service = plan.services.find(({ template }) => template.service === replica.service);
  const image = images.get(replica.service);
  if (!service || !image) throw new Error(`there is nothing to start ${replica.service} from`);
  const { replicaId, index, nodeId } = replica;
  const node = onNode(nodeId, timing, longestGateMs(service));
  const input = { template: service.template, replicaId, index, image };
  let started: StartedReplica;
  try {
    started = await node.ensureReplica(mayLeave(rollout, service) ? { ...input, mayLeave: true } : input);
  } catch (error) {
    if (!isFrom(error, 'NODE_DEGRADED')) throw error;
    const other = await placeAnew(rollout, replica);
    if (other) return await startReplica(rollout, other);
    started = await node.ensureReplica(input);
  }
  const tracked: Tracked = { ...replica, wanted: true, nodeLost: false, phase: 'ready', started };
  rollout.tracked.set(replicaId, tracked);
  if (image.kind === 'reference') images.set(replica.service, { ...image, digest: started.imageDigest });
}

/** Replicas of one way to a goal that are placed anew; those beyond wait for their node. */
const MOST_PLACED_ANEW = 10;

/** Data and the services of one file stay together, wherever they are. */
function mayLeave({ placedAnew }: Rollout, { template }: ServicePlan): boolean {
  const isBound = (template.volumes ?? []).length > 0 || template.cohort !== undefined;
  return !isBound && placedAnew < MOST_PLACED_ANEW;
}

/** Reserves another place for a replica, and leaves what there may be of it to its node. @returns undefined without one */
async function placeAnew(rollout: Rollout, replica: PlannedReplica): Promise<PlannedReplica | undefined> {
  const { service, revision, nodeId, replicaId } = replica;
  rollout.placedAnew += 1;
  rollout.batch += 1;
  const { ref, batch } = rollout;
  const starts = [{ service, revision, count: 1 }];
  try {
    const [other] = await store.reserveReplicas({ ...ref, batch, starts, avoid: [nodeId], ...wayOf(rollout) });
    await store.forgetReplicas({ ...ref, removed: [], unreachable: [replicaId] });
    await tellDoomed([nodeId]);
    return other;
  } catch (error) {
    if (isCancellation(error)) throw error;
    log.info('there is no other place for what a daemon in trouble was to start', { nodeId, error: String(error) });
    return undefined;
  }
}

function longestGateMs({ template }: ServicePlan): number {
  const { startPeriodMs, intervalMs, timeoutMs, retries } = template.healthCheck;
  return startPeriodMs + retries * (intervalMs + timeoutMs);
}
