import { makesRevision, type OperationKind } from './operation.ts';

/**
 * Whether an operation on several services begins a new cohort: whether everything that it starts is to find each other
 * by name, and nothing of what ran before.
 *
 * It does when it replaces all of them. A service that stays as it runs was told whom to find when it was made, so what
 * comes beside it joins its cohort.
 *
 * @param kept how many services stay as they run.
 */
export function beginsCohort(kind: OperationKind, kept: number): boolean {
  return kind === 'restart' || kind === 'start' || (makesRevision(kind) && kept === 0);
}

/** The name under which the members of a cohort find the replicas of one of its services. */
export function cohortName(service: string, cohort: number): string {
  return `${service}.cohort-${cohort}`;
}
