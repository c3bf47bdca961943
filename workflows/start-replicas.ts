import type { PlannedReplica, ServicePlan } from '../contracts/rollout.ts';
import type { RolloutStep } from '../domain/rollout.ts';
import { onNode, store } from './activity-stubs.ts';
import { allOrCancelled } from './all-or-cancelled.ts';
import type { Rollout, Tracked } from './converge.ts';
import { waitForNode } from './wait-for-node.ts';

/** How many replicas of one rollout are started at a time; a node bounds its own share further. */
const START_BATCH = 100;

/** Starts so many replicas of each service, and returns once all of them are healthy. */
export async function startReplicas(
  rollout: Rollout,
  starts: Extract<RolloutStep, { kind: 'start' }>['starts'],
): Promise<void> {
  await reserveMissing(rollout, starts);
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
  const reserve = () => store.reserveReplicas({ ...ref, batch, starts: wanted });
  const reserved = await waitForNode(reserve, timing.nodePickUpMs);
  rollout.unstarted = [...rollout.unstarted, ...reserved];
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
  const started = await onNode(nodeId, timing, longestGateMs(service)).ensureReplica({
    template: service.template,
    ...{ replicaId, index, image },
  });
  const tracked: Tracked = { ...replica, wanted: true, nodeLost: false, phase: 'ready', started };
  rollout.tracked.set(replicaId, tracked);
  if (image.kind === 'reference') images.set(replica.service, { ...image, digest: started.imageDigest });
}

function longestGateMs({ template }: ServicePlan): number {
  const { startPeriodMs, intervalMs, timeoutMs, retries } = template.healthCheck;
  return startPeriodMs + retries * (intervalMs + timeoutMs);
}
