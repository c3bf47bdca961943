import { readClaim } from '../container-claim.ts';
import { LABEL, networkName } from '../naming.ts';

/** Something on a daemon that carries labels of the platform. */
export interface LabelledThing {
  readonly kind: 'container' | 'network';
  /** Docker's full id. */
  readonly id: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly createdAtMs: number;
}

/** Something of this installation that some record has to own. */
export interface OwnableThing extends Pick<LabelledThing, 'kind' | 'id' | 'name'> {
  /** The deployment; of a project's network, the project. */
  readonly ownerId: string;
  /** Empty for a network. */
  readonly replicaId: string;
}

/** Why a thing stays, whatever is recorded. */
export type ThingStay = 'young' | 'forged' | 'other-installation' | 'own-work';

/** How things are looked at. */
export interface OrphanRules {
  readonly instance: string;
  /** What was made within this time may be about to be recorded, milliseconds. */
  readonly graceMs: number;
  readonly nowMs: number;
}

/** What is to become of a thing: it stays, or it goes unless a record owns it. */
export type JudgedThing =
  | { readonly stays: ThingStay; readonly thing?: never }
  | { readonly stays?: never; readonly thing: OwnableThing };

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** So few go whatever their share is: a test, or a host with one application. */
const FEW = 10;

/**
 * Says whether a thing may be an orphan: one that the platform made under this installation and that is older than the
 * grace.
 *
 * Labels alone are no proof, since anybody with access to the daemon, and any image, can carry them. What the platform
 * makes has a name that follows from its labels and, a container, the hash of what it was made from; the rest is left
 * alone. What has labels but no owner at all is a node's own short work.
 */
export function judgeThing(thing: LabelledThing, rules: OrphanRules): JudgedThing {
  if (thing.labels[LABEL.instance] !== rules.instance) return { stays: 'other-installation' };
  if (isOwnWork(thing)) return { stays: 'own-work' };
  const owner = thing.kind === 'container' ? ownerOfContainer(thing, rules) : ownerOfNetwork(thing, rules);
  if (!owner) return { stays: 'forged' };
  if (rules.nowMs - thing.createdAtMs < rules.graceMs) return { stays: 'young' };
  const { kind, id, name } = thing;
  return { thing: { kind, id, name, ...owner } };
}

function isOwnWork({ kind, labels }: LabelledThing): boolean {
  return kind === 'container' && labels[LABEL.deploymentId] === undefined && labels[LABEL.replica] === undefined;
}

type Owner = Pick<OwnableThing, 'ownerId' | 'replicaId'>;

function ownerOfContainer(thing: LabelledThing, { instance }: OrphanRules): Owner | undefined {
  const claim = readClaim(instance, thing);
  return claim.kind === 'replica' ? { ownerId: claim.deploymentId, replicaId: claim.replicaId } : undefined;
}

function ownerOfNetwork({ labels, name }: LabelledThing, { instance }: OrphanRules): Owner | undefined {
  const ownerId = labels[LABEL.deploymentId] ?? labels[LABEL.projectId] ?? '';
  const isGenuine = labels[LABEL.managed] === 'true' && UUID.test(ownerId) && name === networkName(instance, ownerId);
  return isGenuine ? { ownerId, replicaId: '' } : undefined;
}

/** What of all that may be orphans goes. */
export interface OrphanDecision {
  readonly orphans: readonly OwnableThing[];
  readonly owned: number;
  /** Whether there are so many that the records are more likely wrong than the node: then nothing goes. */
  readonly isTooMany: boolean;
}

/**
 * Decides what goes, by id: what no record owns. When that is more than {@link FEW} and more than the records own, the
 * database may be an old copy, or another one, and nothing goes.
 */
export function decideOrphans(
  things: readonly OwnableThing[],
  isOwned: (thing: OwnableThing) => boolean,
): OrphanDecision {
  const orphans = things.filter((thing) => !isOwned(thing)).sort(byKindAndId);
  const owned = things.length - orphans.length;
  return { orphans, owned, isTooMany: orphans.length > FEW && orphans.length > owned };
}

/** Containers first: their network goes once they are gone. */
function byKindAndId(one: OwnableThing, other: OwnableThing): number {
  if (one.kind !== other.kind) return one.kind === 'container' ? -1 : 1;
  return one.id < other.id ? -1 : 1;
}
