import type { OwnableThing } from '../domain/retention/orphans.ts';
import type { RetentionScope } from './retention.ts';

/** On a node's own queue. */
export interface OrphanActivities {
  /** Lists what no record owns, by id, and counts why others stay. Asks the control plane what is recorded. */
  surveyOrphans(input: { readonly graceMs: number }): Promise<OrphanSurvey>;
  /**
   * Removes these things, each by its full id and looked at again just before, on the node and in the records. What is
   * gone already counts as removed. Heartbeats.
   */
  removeOrphans(input: { readonly orphans: readonly OwnableThing[] }): Promise<RemovedOrphans>;
}

/** Answer of {@link OrphanActivities.surveyOrphans}. */
export interface OrphanSurvey {
  /** At most {@link MOST_ORPHANS}; the rest comes with the next run. */
  readonly orphans: readonly OwnableThing[];
  /** How many stay, by reason. */
  readonly kept: Readonly<Record<string, number>>;
}

/** Orphans of a node that one run removes: about 60 KB of a history. */
export const MOST_ORPHANS = 200;

/** Answer of {@link OrphanActivities.removeOrphans}. */
export interface RemovedOrphans {
  /** What became of each, by Docker's id; empty: it was removed. Else why it stays. */
  readonly outcomes: Readonly<Record<string, string>>;
}

/** A decision about one thing, and what became of it. */
export interface OrphanRecord extends Pick<OwnableThing, 'kind' | 'id' | 'name'> {
  readonly nodeId: string;
  /** `decided`: it is to go. `would-go`: a dry run. */
  readonly outcome: 'decided' | 'would-go' | 'removed' | 'spared';
  /** Why it was spared; empty otherwise. */
  readonly reason: string;
}

/** Writes of the control database, run as local activities. Repeatable. */
export interface OrphanStore {
  /** Stores decisions of a run before they are carried out, and what became of them after. */
  recordOrphans(input: Pick<RetentionScope, 'runId'> & { readonly orphans: readonly OrphanRecord[] }): Promise<void>;
}
