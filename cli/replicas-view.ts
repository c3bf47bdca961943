import { DomainError } from '../domain/errors.ts';
import { type Replica, ReplicaState } from '../gen/obiente/cloud/v1/deployments_pb.ts';
import { NodeState } from '../gen/obiente/cloud/v1/nodes_pb.ts';
import type { LocatedReplica } from '../gen/obiente/cloud/v1/replicas_pb.ts';
import { age, paintState, replicaState, words } from './show.ts';
import { type Column, table } from './table.ts';
import type { Terminal } from './terminal.ts';

const STATES: Readonly<Record<string, ReplicaState>> = {
  starting: ReplicaState.STARTING,
  healthy: ReplicaState.HEALTHY,
  unhealthy: ReplicaState.UNHEALTHY,
  exited: ReplicaState.EXITED,
  removing: ReplicaState.REMOVING,
};

/** Reads a state as people write it. @throws INVALID_ARGUMENT */
export function parseReplicaState(text: string): ReplicaState {
  const state = Object.hasOwn(STATES, text) ? STATES[text] : undefined;
  if (state !== undefined) return state;
  throw new DomainError('INVALID_ARGUMENT', `--state: ${text}; allowed is ${Object.keys(STATES).join(', ')}`, {
    field: 'state',
  });
}

/** Lays replicas out with where they are, a row each. */
export function replicasTable(terminal: Pick<Terminal, 'paint'>, replicas: readonly LocatedReplica[]): string {
  const columns: readonly Column<LocatedReplica>[] = [
    { heading: 'DEPLOYMENT', cell: ({ deploymentName }) => deploymentName },
    { heading: 'REPLICA', cell: ({ replica }) => replica?.id ?? '' },
    { heading: 'SERVICE', cell: ({ replica }) => replica?.service ?? '' },
    { heading: 'STATE', cell: stateOf, paint: (text) => paintState(terminal, text) },
    { heading: 'FOR', cell: ({ stateSince }) => age(stateSince), isNumber: true },
    { heading: 'SERVING', cell: ({ serving }) => (serving ? 'yes' : 'no') },
    { heading: 'NODE', cell: ({ node }) => node?.id ?? '' },
    { heading: 'NODE IS', cell: nodeOf, paint: (text) => paintState(terminal, text) },
    { heading: 'ADDRESS', cell: ({ replica }) => replica?.address || '-' },
    { heading: 'CONTAINER', cell: ({ replica }) => shortId(replica) || '-' },
  ];
  return table(terminal, columns, replicas);
}

/** Says where a replica is in one line. */
export function replicaLine(located: LocatedReplica): string {
  const { replica, deploymentName, node } = located;
  const address = replica?.address ? ` at ${replica.address}` : '';
  const container = shortId(replica) ? ` in ${shortId(replica)}` : '';
  const trouble = node?.state === NodeState.READY ? '' : ` (${nodeOf(located)})`;
  return `${deploymentName} ${replica?.id} ${stateOf(located)} on ${node?.id}${trouble}${address}${container}`;
}

function stateOf({ replica }: LocatedReplica): string {
  return replica === undefined ? 'unknown' : replicaState(replica);
}

function nodeOf({ node }: LocatedReplica): string {
  return words.node(node?.state ?? NodeState.UNSPECIFIED);
}

function shortId(replica: Replica | undefined): string {
  return replica?.containerId.slice(0, 12) ?? '';
}
