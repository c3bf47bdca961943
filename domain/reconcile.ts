import { type Claim, readClaim } from './container-claim.ts';

/** A replica as it is recorded on a node. */
export interface RecordedContainer {
  readonly deploymentId: string;
  /** For example `r3-0`. */
  readonly replicaId: string;
  /** Docker's full id; `null` before its container was seen. */
  readonly containerId: string | null;
  /** Whether the routes send requests to it. Of one that does not, a rollout may still make the container anew. */
  readonly serving: boolean;
}

/** A container that carries this installation's labels. */
export interface SeenContainer {
  /** Docker's full id. */
  readonly id: string;
  /** Docker's name of it, without the slash. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * What one look at a node gave. `silent`: it did not answer, or its daemon was not in health, so nothing is known.
 * Otherwise what its daemon listed, and the full ids for which it answered 404. A container in neither is unknown.
 */
export type NodeSight =
  | { readonly kind: 'silent' }
  | { readonly kind: 'seen'; readonly containers: readonly SeenContainer[]; readonly absent: readonly string[] };

/** What was found of a container in looks before, in a row. */
export interface Suspicion {
  readonly verdict: 'gone' | 'orphan' | 'forged';
  /** From 1. */
  readonly looks: number;
}

/** Everything that a pass follows from. The records are read before the look, each time. */
export interface ReconcileFacts {
  readonly instance: string;
  readonly recorded: readonly RecordedContainer[];
  /** Replicas that are to be removed from the node once it answers. */
  readonly doomed: readonly Pick<RecordedContainer, 'deploymentId' | 'replicaId'>[];
  /** Full ids of containers that were reported already, and not cleared since. */
  readonly reported: readonly string[];
  readonly sight: NodeSight;
  /** By full id: what the pass before has left. */
  readonly suspicions: Readonly<Record<string, Suspicion>>;
}

/** What is wrong. None of it leads to a removal of anything on a node. */
export type Finding =
  /** The replica's container does not exist any more: its deployment is to be healed. */
  | { readonly kind: 'gone'; readonly containerId: string; readonly deploymentId: string; readonly replicaId: string }
  /** A container of this installation that no record owns: to be reported. */
  | { readonly kind: 'orphan'; readonly containerId: string; readonly name: string; readonly reason: string }
  /** A container that claims to be what it is not: to be reported, and never routed to. */
  | { readonly kind: 'forged'; readonly containerId: string; readonly name: string; readonly reason: string }
  /** What was reported does not exist any more. */
  | { readonly kind: 'cleared'; readonly containerId: string };

/** What there is to do after a look. */
export interface ReconcilePlan {
  /** By full id. */
  readonly findings: readonly Finding[];
  /** For the next pass. Not empty: another look is worth taking. */
  readonly suspicions: Readonly<Record<string, Suspicion>>;
}

/** Looks in a row that must agree. One may fall between a record and its container, or meet a daemon that errs. */
const LOOKS = 2;

/**
 * Compares what is recorded on a node with one look at it.
 *
 * Nothing follows from silence, nor from a list that leaves something out: Docker 20.10 lists nothing after a restart on
 * a full disk. A container is gone when its daemon, in health, has answered 404 for its full id in two looks in a row; a
 * look in between that said nothing begins the count anew. What is strange is told at the second look as well, and once:
 * a pass over what the pass before has settled is empty.
 */
export function planReconcile(facts: ReconcileFacts): ReconcilePlan {
  const { sight } = facts;
  if (sight.kind === 'silent') return { findings: [], suspicions: {} };
  const absent = new Set(sight.absent);
  const listed = new Set(sight.containers.map(({ id }) => id));
  const suspects = [
    ...facts.recorded.flatMap((replica) => goneOf(replica, { absent, listed })),
    ...strangersOf(facts, sight.containers),
  ].sort((a, b) => (a.containerId < b.containerId ? -1 : 1));
  const judged = suspects.map((finding) => ({ finding, looks: looksAt(finding, facts.suspicions) }));
  const cleared = facts.reported
    .filter((id) => absent.has(id) && !listed.has(id))
    .map((containerId) => ({ kind: 'cleared' as const, containerId }))
    .sort((a, b) => (a.containerId < b.containerId ? -1 : 1));
  return {
    findings: [...judged.flatMap(({ finding, looks }) => (looks >= LOOKS ? [finding] : [])), ...cleared],
    suspicions: Object.fromEntries(
      judged.flatMap(({ finding: { containerId, kind: verdict }, looks }) =>
        looks < LOOKS ? [[containerId, { verdict, looks }] as const] : [],
      ),
    ),
  };
}

/** Which containers a look must ask for by id where its list leaves them out. */
export function expectedContainers({ recorded, reported }: Pick<ReconcileFacts, 'recorded' | 'reported'>): string[] {
  const ids = recorded.flatMap(({ containerId }) => containerId ?? []);
  return [...new Set([...ids, ...reported])].sort();
}

type Suspect = Exclude<Finding, { kind: 'cleared' }>;

function goneOf(
  { deploymentId, replicaId, containerId, serving }: RecordedContainer,
  { absent, listed }: { readonly absent: ReadonlySet<string>; readonly listed: ReadonlySet<string> },
): Suspect[] {
  if (containerId === null || !serving || listed.has(containerId) || !absent.has(containerId)) return [];
  return [{ kind: 'gone', containerId, deploymentId, replicaId }];
}

function strangersOf(
  { instance, recorded, doomed, reported }: ReconcileFacts,
  containers: readonly SeenContainer[],
): Suspect[] {
  const known = new Set(reported);
  const byReplica = new Map(recorded.map((replica) => [keyOf(replica), replica]));
  const doomedKeys = new Set(doomed.map(keyOf));
  return containers.flatMap((container) => {
    if (known.has(container.id)) return [];
    const claim = readClaim(instance, container);
    const found = claim.kind === 'foreign' ? undefined : judge(container, claim, { byReplica, doomedKeys });
    return found ? [{ ...found, containerId: container.id, name: container.name }] : [];
  });
}

function judge(
  { id }: SeenContainer,
  claim: Exclude<Claim, { kind: 'foreign' }>,
  known: { readonly byReplica: ReadonlyMap<string, RecordedContainer>; readonly doomedKeys: ReadonlySet<string> },
): { readonly kind: 'orphan' | 'forged'; readonly reason: string } | undefined {
  if (claim.kind === 'false') return { kind: 'forged', reason: claim.reason };
  const record = known.byReplica.get(keyOf(claim));
  if (record?.containerId === id || known.doomedKeys.has(keyOf(claim))) return undefined;
  if (!record) {
    return { kind: 'orphan', reason: `no record of ${claim.replicaId} of ${claim.deploymentId} on this node` };
  }
  // Before it serves, a replica's container may be made anew, and is told by its node when it runs.
  if (!record.serving) return undefined;
  return { kind: 'forged', reason: `${claim.replicaId} of ${claim.deploymentId} is container ${record.containerId}` };
}

function keyOf({ deploymentId, replicaId }: Pick<RecordedContainer, 'deploymentId' | 'replicaId'>): string {
  return `${deploymentId} ${replicaId}`;
}

function looksAt({ containerId, kind }: Suspect, suspicions: ReconcileFacts['suspicions']): number {
  const before = Object.hasOwn(suspicions, containerId) ? suspicions[containerId] : undefined;
  return before?.verdict === kind ? before.looks + 1 : 1;
}
