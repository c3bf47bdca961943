import { type DescMessage, type MessageShape, toJson } from '@bufbuild/protobuf';
import { type Timestamp, timestampDate } from '@bufbuild/protobuf/wkt';
import {
  type Deployment,
  DeploymentStatus,
  OperationKind,
  OperationState,
  type Replica,
  ReplicaState,
} from '../gen/obiente/cloud/v1/deployments_pb.ts';
import { NodeState, NodeTokenState } from '../gen/obiente/cloud/v1/nodes_pb.ts';
import { showSpan } from './quantities.ts';
import type { Terminal } from './terminal.ts';

/** A message as JSON, with every field, in the names and forms that `curl` gets from the API. */
export function messageJson<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): unknown {
  return toJson(schema, message, { alwaysEmitImplicit: true });
}

/** Names of the contract's enums as people read them: `DEPLOYMENT_STATUS_RUNNING` is `running`. */
export const words = {
  status: (status: DeploymentStatus) => word(DeploymentStatus, status),
  replica: (state: ReplicaState) => word(ReplicaState, state),
  node: (state: NodeState) => word(NodeState, state),
  nodeToken: (state: NodeTokenState) => word(NodeTokenState, state),
  operation: (state: OperationState) => word(OperationState, state),
  kind: (kind: OperationKind) => word(OperationKind, kind),
};

function word(names: Readonly<Record<string, number>>, value: number): string {
  const name = Object.keys(names).find((candidate) => names[candidate] === value) ?? 'UNSPECIFIED';
  return name.toLowerCase().replace('unspecified', 'unknown').replaceAll('_', ' ');
}

/** Colours a word by what it means: green is well, red is not, yellow is on its way. */
export function paintState(terminal: Pick<Terminal, 'paint'>, text: string): string {
  const { paint } = terminal;
  if (/^(running|healthy|ready|succeeded|ok)$/.test(text)) return paint.green(text);
  if (/^(failed|unhealthy|exited|gone|lost)$/.test(text)) return paint.red(text);
  if (/^(stopped|unknown|superseded|cancelled)$/.test(text)) return paint.dim(text);
  return paint.yellow(text);
}

/** How long ago something was; empty when it never was. */
export function age(at: Timestamp | undefined, nowMs: number = Date.now()): string {
  return at === undefined ? '' : showSpan(nowMs - timestampDate(at).getTime());
}

/** How soon something will be; `now` once it is due, empty when it never will. */
export function wait(at: Timestamp | undefined, nowMs: number = Date.now()): string {
  if (at === undefined) return '';
  const ms = timestampDate(at).getTime() - nowMs;
  return ms < 1000 ? 'now' : `in ${showSpan(ms)}`;
}

/** What a replica is, in a word. */
export function replicaState({ gone, state }: Replica): string {
  return gone ? 'gone' : words.replica(state);
}

/** How a replica exited last, or what the kernel did to it: `137, out of memory`; empty when there is nothing to tell. */
export function lastExit({ exitCode, outOfMemory }: Replica): string {
  return [...(exitCode === undefined ? [] : [String(exitCode)]), ...(outOfMemory ? ['out of memory'] : [])].join(', ');
}

/** Healthy replicas of the wanted ones: `2/3`. */
export function replicaCount(deployment: Deployment): string {
  const wanted = wantedReplicas(deployment);
  if (deployment.replicas.length === 0) return String(wanted);
  const healthy = deployment.replicas.filter(({ state }) => state === ReplicaState.HEALTHY).length;
  return `${healthy}/${wanted}`;
}

function wantedReplicas({ spec }: Deployment): number {
  if (spec?.source.case !== 'compose') return spec?.replicas ?? 1;
  return spec.source.value.services.reduce((sum, { replicas }) => sum + replicas, 0);
}
