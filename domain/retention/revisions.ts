/** Everything about a deployment that decides which of its revisions stay. Revisions by their numbers. */
export interface RevisionFacts {
  /** Those that exist. */
  readonly existing: readonly number[];
  /** The one whose rollout succeeded last; 0 before any did, like the next one. */
  readonly current: number;
  /** The newest one that the routes send requests to. */
  readonly serving: number;
  /** The one that gets a share of the requests; `null` without a canary. */
  readonly canary: number | null;
  /** What runs when all goes well, by service. */
  readonly goal: readonly number[];
  /** Those with a recorded replica, in whatever state. */
  readonly running: readonly number[];
  /** Those that operations make which are not over. */
  readonly open: readonly number[];
  /** Those whose operation succeeded, as far as it is known. */
  readonly cameUp: readonly number[];
}

/**
 * Says which revisions of a deployment stay; all others may go.
 *
 * The newest ones, and every one that runs, serves, is the goal, or is being rolled out. The last one that came up and
 * the one before it, which a rollback returns to, stay however many failed after them. So no deployment is ever left
 * without a revision that is known to work, unless none ever did.
 */
export function keptRevisions(facts: RevisionFacts, { revisions }: { readonly revisions: number }): Set<number> {
  const { existing, current, serving, canary, goal, running, open, cameUp } = facts;
  const newest = existing.toSorted((a, b) => b - a).slice(0, revisions);
  const lastBefore = (limit: number): number => Math.max(0, ...cameUp.filter((number) => number < limit));
  const working = [current, lastBefore(current), lastBefore(Number.POSITIVE_INFINITY)];
  const needed = new Set([...newest, ...working, serving, canary, ...goal, ...running, ...open]);
  return new Set(existing.filter((number) => needed.has(number)));
}

/** Says which revisions go, oldest first. */
export function prunedRevisions(facts: RevisionFacts, policy: { readonly revisions: number }): number[] {
  const kept = keptRevisions(facts, policy);
  return facts.existing.filter((number) => !kept.has(number)).sort((a, b) => a - b);
}

/** A build's result: which node has the image of a service. */
export interface BuildRecord {
  readonly revision: number;
  readonly service: string;
  readonly imageId: string;
}

/** An image to which a service of a revision is pinned. */
export interface PinnedService {
  readonly revision: number;
  readonly service: string;
  readonly digest: string;
}

/** That a build is to be remembered with another revision. */
export interface MovedBuild {
  readonly from: BuildRecord;
  readonly toRevision: number;
}

/**
 * Says which builds of revisions that go are to be remembered with one that stays: a rollback runs the image of the
 * revision that it copied, and only the record of its build tells on which node that is.
 */
export function movedBuilds(
  pruned: readonly number[],
  builds: readonly BuildRecord[],
  pinned: readonly PinnedService[],
): MovedBuild[] {
  const goes = new Set(pruned);
  const isKnown = ({ service, imageId }: BuildRecord): boolean =>
    builds.some((one) => one.service === service && one.imageId === imageId && !goes.has(one.revision));
  const taken = new Set(builds.filter(({ revision }) => !goes.has(revision)).map(keyOf));
  const moved: MovedBuild[] = [];
  const isMoved = new Set<string>();
  for (const from of builds) {
    const image = `${from.service} ${from.imageId}`;
    if (!goes.has(from.revision) || isMoved.has(image) || isKnown(from)) continue;
    const heir = pinned.find(
      (one) =>
        one.service === from.service &&
        one.digest === from.imageId &&
        !goes.has(one.revision) &&
        !taken.has(keyOf(one)),
    );
    if (!heir) continue;
    isMoved.add(image);
    taken.add(keyOf(heir));
    moved.push({ from, toRevision: heir.revision });
  }
  return moved;
}

function keyOf({ revision, service }: { readonly revision: number; readonly service: string }): string {
  return `${revision} ${service}`;
}
