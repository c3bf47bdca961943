import { OPERATIONS, type OperationName, type Wanted } from './operations.ts';
import type { Subject } from './subject.ts';

/** An operation that the platform accepted. */
export interface Accepted {
  readonly operation: OperationName;
  readonly version: number;
}

/** How operations end and what is left, as far as the order in which they were accepted decides it. */
export interface Expectation {
  /** What is wanted after all of them. */
  readonly wanted: Wanted;
  /** For each operation, in order, the states that it may end in. */
  readonly endings: readonly RegExp[];
}

/** One that must reach its goal: nothing came after it. */
const REACHED = /^succeeded$/;
/** One that something newer came after: done before that, or never begun. */
const OVERTAKEN = /^(succeeded|superseded)$/;
/** One that the deployment's end came after: done before, cancelled and taken back, or never begun. */
const ENDED = /^(succeeded|superseded|cancelled)$/;
/** A restart that a stop was accepted before: it may find nothing that runs. */
const OVERTAKEN_RESTART = /^(succeeded|superseded|failed NOT_DEPLOYED)$/;
const ENDED_RESTART = /^(succeeded|superseded|cancelled|failed NOT_DEPLOYED)$/;

/**
 * The reference model of one deployment: a fold over what was accepted, in its order.
 *
 * The last accepted operation decides what is left. It must succeed; what came before it may have been overtaken.
 *
 * @throws when an operation was accepted that the state before it does not allow.
 */
export function expectAfter(subject: Subject, accepted: readonly Accepted[]): Expectation {
  let wanted: Wanted = null;
  for (const { operation, version } of accepted) {
    // Several may ask for the end of one deployment, and all of them get it.
    if (operation === 'delete' && wanted === null) continue;
    const next = OPERATIONS[operation].apply(wanted, { subject, version });
    if (next === undefined) throw new Error(`${operation} was accepted although ${JSON.stringify(wanted)} was wanted`);
    wanted = next;
  }
  const isOver = wanted === null;
  const firstStop = accepted.findIndex(({ operation }) => operation === 'stop');
  const endings = accepted.map(({ operation }, index) => {
    if (operation === 'restart' && firstStop >= 0 && firstStop < index)
      return isOver ? ENDED_RESTART : OVERTAKEN_RESTART;
    if (index === accepted.length - 1) return REACHED;
    // A delete is overtaken by another delete only.
    return isOver && operation !== 'delete' ? ENDED : OVERTAKEN;
  });
  return { wanted, endings };
}

/** Whether an operation makes a revision of its own. */
export function makesRevision({ operation }: Pick<Accepted, 'operation'>): boolean {
  return operation === 'create' || operation === 'update' || operation === 'rollback';
}
