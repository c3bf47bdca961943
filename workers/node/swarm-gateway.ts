import { createContextKey, type HandlerContext, type ServiceImpl } from '@connectrpc/connect';
import type { OwnManaging } from '../../adapters/docker/swarm/managing.ts';
import { parsePinnedService } from '../../adapters/docker/swarm/parse-service.ts';
import type { KnownService } from '../../adapters/docker/swarm/services.ts';
import { SWARM_LABEL } from '../../adapters/docker/swarm/swarm-labels.ts';
import type { SwarmClaim } from '../../adapters/tokens/swarm-token.ts';
import { DomainError, isDomainError } from '../../domain/errors.ts';
import { LABEL, networkName } from '../../domain/naming.ts';
import { leaseLost } from '../../domain/node-lease.ts';
import type { SwarmGatewayService } from '../../gen/obiente/internal/v1/swarm_pb.ts';

/** Who asks, from the token of a call. */
export const swarmClaimKey = createContextKey<SwarmClaim | undefined>(undefined, { description: 'swarm node' });

/** Callers whose epoch is remembered; a swarm has some hundred hosts at most. */
const MOST_CALLERS = 10_000;

/** What the gateway of a manager needs. */
export interface SwarmGatewayPorts {
  readonly instance: string;
  /** What the daemon of this host does, under this node's own lease. */
  readonly own: OwnManaging;
  /** Opens a service that was encrypted for this node. */
  openService(jwe: string): Promise<unknown>;
}

/**
 * Creates what a node on a manager does for nodes on workers.
 *
 * A caller is let at services of this installation that are pinned to the host in its token, and at networks of this
 * installation; which host that is, no call says. What is of others is not found. A process whose node has taken the lease
 * under a higher epoch since is refused here as well: a request of it may have been on its way.
 */
export function createSwarmGateway(ports: SwarmGatewayPorts): ServiceImpl<typeof SwarmGatewayService> {
  const { instance, own, openService } = ports;
  const { services, overlays } = own;
  const callerOf = createCallers();

  const isOf = ({ swarmNodeId }: SwarmClaim, { labels }: KnownService): boolean =>
    labels[SWARM_LABEL.node] === swarmNodeId && labels[LABEL.instance] === instance;

  const find = async (claim: SwarmClaim, idOrName: string): Promise<KnownService | undefined> => {
    const found = await services.find(idOrName);
    return found && isOf(claim, found) ? found : undefined;
  };

  return {
    async getOwnNode(_, context) {
      const { availability, labels } = await own.host(callerOf(context).swarmNodeId);
      return { availability, labels: { ...labels } };
    },
    async findService({ idOrName }, context) {
      const found = await find(callerOf(context), idOrName);
      return found ? { service: toWire(found) } : {};
    },
    async listServices(_, context) {
      const claim = callerOf(context);
      const found = await services.list(claim.swarmNodeId);
      return { services: found.filter((service) => isOf(claim, service)).map(toWire) };
    },
    async createService({ jwe }, context) {
      const claim = callerOf(context);
      const spec = parsePinnedService(await openService(jwe), { instance, nodeId: claim.swarmNodeId });
      context.signal.throwIfAborted();
      const id = await underOwnLease(() => services.create(spec));
      if (id !== undefined) return { id };
      const holder = await services.find(spec.Name ?? '');
      if (!holder || isOf(claim, holder)) return { id: '' };
      throw new DomainError('REPLICA_CONFLICT', `the name ${spec.Name} is that of a service of another host`);
    },
    async setTasks({ id, count, anew }, context) {
      if (!(await find(callerOf(context), id))) return { found: false };
      return { found: await underOwnLease(() => services.setTasks(id, count, anew, context.signal)) };
    },
    async listTasks({ id }, context) {
      if (!(await find(callerOf(context), id))) throw new DomainError('NOT_FOUND', `there is no service ${id}`);
      return { tasks: [...(await services.tasksOf(id))] };
    },
    async removeService({ id }, context) {
      if (await find(callerOf(context), id)) await underOwnLease(() => services.remove(id));
      return {};
    },
    async ensureNetwork({ name, labels }, context) {
      callerOf(context);
      const owner = labels[LABEL.deploymentId] ?? labels[LABEL.projectId] ?? '';
      const isOwn = labels[LABEL.instance] === instance && labels[LABEL.managed] === 'true';
      if (!isOwn || owner === '' || name !== networkName(instance, owner)) {
        throw new DomainError('PERMISSION_DENIED', `${name} is not the name of a network of this installation`);
      }
      await underOwnLease(() => overlays.ensure({ name, labels }));
      return {};
    },
    async removeNetwork({ idOrName }, context) {
      callerOf(context);
      const of = await overlays.installationOf(idOrName);
      if (of !== undefined && of !== instance) {
        throw new DomainError('PERMISSION_DENIED', `network ${idOrName} is not of this installation`);
      }
      return { gone: of === undefined || (await underOwnLease(() => overlays.remove(idOrName))) };
    },
  };
}

/** A manager that may change nothing itself says so, and another one is asked: it is not the caller's lease that is lost. */
async function underOwnLease<Result>(change: () => Promise<Result>): Promise<Result> {
  try {
    return await change();
  } catch (error) {
    if (!isDomainError(error) || error.code !== 'NODE_LEASE_LOST') throw error;
    throw new DomainError('NODE_UNAVAILABLE', 'this manager has not the lease of its own node', { cause: error });
  }
}

/** Creates what says who calls. @returns a function that throws NODE_LEASE_LOST for a process that has lost its lease */
function createCallers(): (context: HandlerContext) => SwarmClaim {
  const epochs = new Map<string, number>();
  return ({ values }) => {
    const claim = values.get(swarmClaimKey);
    if (!claim) throw new DomainError('INTERNAL', 'the call was not authorised');
    const { nodeId, epoch } = claim;
    const newest = Math.max(epoch, epochs.get(nodeId) ?? 0);
    epochs.delete(nodeId);
    epochs.set(nodeId, newest);
    const [oldest] = epochs.keys();
    if (epochs.size > MOST_CALLERS && oldest !== undefined) epochs.delete(oldest);
    if (epoch < newest) throw leaseLost(`node ${nodeId}`);
    return claim;
  };
}

function toWire({ writtenVolumes, createdAtMs, labels, containerLabels, ...service }: KnownService) {
  return {
    ...service,
    ...{ labels: { ...labels }, containerLabels: { ...containerLabels }, writtenVolumes: [...writtenVolumes] },
    createdAtMs: BigInt(createdAtMs),
  };
}
