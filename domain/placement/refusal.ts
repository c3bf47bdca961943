import { DomainError } from '../errors.ts';
import { describeBytes, describeCores } from '../quantities.ts';
import type { PlacementRefusal, UnreadyNode } from './placement.ts';
import { mostOn } from './room.ts';
import type { NodeRoom, PlacementRequest } from './strategy.ts';

/** Nodes that a refusal names; the rest is counted. */
const NAMED_NODES = 20;

/** Says why a placement was refused: what was wanted, and what each node has free. */
export function toPlacementError(request: PlacementRequest, refusal: PlacementRefusal): DomainError {
  const wanted = describeRequest(request);
  if (refusal.code === 'NO_NODE_READY') {
    const { unready } = refusal;
    const found =
      unready.length === 0
        ? 'there is no node'
        : `none of ${count(unready.length, 'node')} is ready: ${listed(unready)}`;
    return new DomainError('NO_NODE_READY', `cannot place ${wanted}: ${found}`, {
      hint: 'Look at the nodes with "obiente nodes", then deploy again.',
      mayPass: true,
    });
  }
  const named = refusal.room.slice(0, NAMED_NODES).map((room) => `${room.nodeId} ${describeRoom(room, request)}`);
  const others = refusal.room.length - named.length;
  const able = [...named, ...(others > 0 ? [`${count(others, 'other node')} cannot either`] : [])].join(', ');
  const found = refusal.unready.length === 0 ? able : `${able}; not ${listed(refusal.unready)}`;
  return new DomainError('INSUFFICIENT_CAPACITY', `cannot place ${wanted}: ${found}`, {
    hint: hintFor(request),
  });
}

/** Nodes that take nothing, with why: `node-c (cordoned)`. */
function listed(unready: readonly UnreadyNode[]): string {
  const named = unready.slice(0, NAMED_NODES).map(({ nodeId, why }) => `${nodeId} (${why})`);
  const others = unready.length - named.length;
  return [...named, ...(others > 0 ? [`${others} more`] : [])].join(', ');
}

function hintFor({ policy }: PlacementRequest): string {
  const isBound = policy.constraints.length > 0 || policy.near !== null || policy.maxReplicasPerNode !== null;
  return `Ask for fewer replicas or smaller limits${isBound ? ', bind them less to places' : ''}, or add a node.`;
}

function describeRequest(request: PlacementRequest): string {
  const { name, replicas, cpuCores, memoryBytes, together, largestCpuCores } = request;
  if (largestCpuCores !== undefined) {
    return `${name} (${describeCores(cpuCores)}, ${describeBytes(memoryBytes)} in all, on one node)`;
  }
  const each = `${describeCores(cpuCores)}, ${describeBytes(memoryBytes)} each`;
  return `${count(replicas, 'replica')} of ${name} (${each}${together && replicas > 1 ? ', all on one node' : ''})`;
}

/** What a node has free, or why it takes nothing: `has 1 core and 512 MiB free`. */
export function describeRoom(room: NodeRoom, request: PlacementRequest): string {
  if (room.barred !== null) return room.barred;
  const free = `has ${describeCores(room.cpuCores)} and ${describeBytes(room.memoryBytes)} free`;
  const most = mostOn(room, request);
  if (most >= request.replicas) return free;
  return most === 0 ? `has ${room.ownReplicas} of it, as many as it may` : `${free}, and may have ${most} more of it`;
}

function count(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? '' : 's'}`;
}
