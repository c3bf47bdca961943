import type { GitSource } from '../domain/spec.ts';
import type { OperationRef } from './activities.ts';
import type { ResolvedSource } from './node-activities.ts';
import type { ServiceRef } from './rollout.ts';

/** A repository that has to be looked at before it is known what a revision is made of. */
export interface PlannedReading {
  readonly revision: number;
  /** The node that looks. */
  readonly nodeId: string;
  readonly source: ReadableSource;
  /** The commit to which the revision is pinned; `null` before its ref was looked up. */
  readonly commit: string | null;
}

/** A repository, and which Compose file of it is wanted. */
export interface ReadableSource extends Pick<GitSource, 'url' | 'ref' | 'subdirectory' | 'submodules'> {
  /** `null`: the first that has one of Compose's own names. */
  readonly composePath: string | null;
  /** Whether it has to be a Compose file; else it may be anything that can be built. */
  readonly onlyCompose: boolean;
}

/** Input of {@link ReadingActivities.readSource}: `service` names what the credential is for. */
export interface ReadSourceInput extends ServiceRef {
  readonly source: ReadableSource & ResolvedSource;
}

/** What a commit holds. What a Compose file says is not in it: the node tells that to the control plane. */
export interface FoundSource {
  readonly kind: 'compose' | 'image';
  /** Where nixpacks makes the image; absent: what every node has. */
  readonly builder?: 'nixpacks';
  /** Goes on in "found …". */
  readonly reason: string;
}

/** Activities on a node's build queue that look at sources. */
export interface ReadingActivities {
  /**
   * Looks at a commit, and tells the control plane the Compose file that it finds there.
   *
   * @throws SOURCE_REFUSED, INSUFFICIENT_CAPACITY: final. SOURCE_UNAVAILABLE, NODE_UNAVAILABLE (retryable).
   */
  readSource(input: ReadSourceInput): Promise<FoundSource>;
}

/** Activities on the database about what nodes found in sources. */
export interface ReadingStore {
  /**
   * Makes a revision what was found in its source, once. The rollout is planned anew afterwards.
   *
   * @throws INVALID_ARGUMENT: final.
   */
  adoptSource(input: OperationRef & { readonly revision: number; readonly found: FoundSource }): Promise<void>;
}
