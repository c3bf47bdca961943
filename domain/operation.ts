import type { Move } from './move.ts';

/** What can be asked of a deployment, as a change that is carried out step by step. */
export const OPERATION_KINDS = [
  'deploy',
  'update',
  'rollback',
  'scale',
  'restart',
  'stop',
  'start',
  'heal',
  'move',
  'remove',
] as const;

/**
 * A kind of operation. `deploy` brings up a new revision from a source, `update` one with other settings, `rollback` a
 * copy of an older one; `heal` replaces what is on lost nodes or gone, `move` what is on nodes that it shall leave; the
 * others change how the current revision runs.
 */
export type OperationKind = (typeof OPERATION_KINDS)[number];

/** Who asks for what the platform asks for by itself. */
export const PLATFORM_ACTOR = '00000000-0000-0000-0000-000000000000';

/**
 * How an operation stands. `queued`, `running` and `waiting` (for a person) are open; the others are final.
 */
export type OperationState = 'queued' | 'running' | 'waiting' | 'succeeded' | 'failed' | 'cancelled' | 'superseded';

/** States in which an operation still has to be carried out. */
export const OPEN_STATES = ['queued', 'running', 'waiting'] as const satisfies readonly OperationState[];

/** Whether an operation still has to be carried out. */
export function isOpen(state: OperationState): boolean {
  return (OPEN_STATES as readonly OperationState[]).includes(state);
}

/** Whether an operation makes a revision of its own. */
export function makesRevision(kind: OperationKind): kind is 'deploy' | 'update' | 'rollback' {
  return kind === 'deploy' || kind === 'update' || kind === 'rollback';
}

/** An operation in the line of its deployment, as far as the order of the line depends on it. */
export interface LinedUp {
  readonly operationId: string;
  readonly kind: OperationKind;
  /** The part of the deployment that it sets, see {@link partOf}; absent: all of it. */
  readonly part?: string;
}

/**
 * Which part of a deployment an operation sets, where another operation of its kind may set another part: the service that is
 * scaled, the node that is left. `undefined`: all of it.
 */
export function partOf(of: { readonly service?: string | null; readonly move?: Move | null }): string | undefined {
  const { service, move } = of;
  if (!move) return service ?? undefined;
  const { from, to, replicas } = move;
  if (replicas === null) return from ?? undefined;
  return `${replicas} of ${from} to ${to}`;
}

/**
 * What an operation sets, so that of two which set the same the newer one is all that is wanted. A new revision is made
 * of the newest one, so it contains what those before it changed.
 */
const SUBJECT: Record<OperationKind, string> = {
  deploy: 'revision',
  update: 'revision',
  rollback: 'revision',
  scale: 'scale',
  restart: 'restart',
  stop: 'power',
  start: 'power',
  heal: 'heal',
  move: 'move',
  remove: 'end',
};

/**
 * Puts an operation at the end of a line.
 *
 * A newer one supersedes the waiting one that sets the same, a removal all. So nothing is dropped whose effect is not
 * in what stays, and a line is never longer than there are subjects and parts of the deployment.
 */
export function lineUp<Operation extends LinedUp>(
  line: readonly Operation[],
  newcomer: Operation,
): { readonly line: readonly Operation[]; readonly superseded: readonly Operation[] } {
  const isSuperseded = ({ kind, part }: Operation): boolean =>
    newcomer.kind === 'remove' || (SUBJECT[kind] === SUBJECT[newcomer.kind] && part === newcomer.part);
  return {
    line: [...line.filter((operation) => !isSuperseded(operation)), newcomer],
    superseded: line.filter(isSuperseded),
  };
}

/**
 * Splits what is asked of a deployment, oldest first. Where that has nothing to do the first begins at once, so nothing that
 * comes after it may take its place in the line. Only a removal does, or what shall supersede even what is under way.
 */
export function splitBegun<Operation extends LinedUp & { readonly supersedeRunning: boolean }>(
  operations: readonly Operation[],
  isIdle: boolean,
): { readonly begins: readonly Operation[]; readonly wait: readonly Operation[] } {
  const [first, ...wait] = operations;
  const isLeft = isIdle && first && !wait.some(({ kind, supersedeRunning }) => kind === 'remove' || supersedeRunning);
  return isLeft ? { begins: [first], wait } : { begins: [], wait: operations };
}
