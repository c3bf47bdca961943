import { Context } from '@temporalio/activity';
import { MOST_ORPHANS, type OrphanActivities } from '../contracts/orphans.ts';
import { DEFAULT_TIMING } from '../contracts/timing.ts';
import { LABEL } from '../domain/naming.ts';
import {
  decideOrphans,
  judgeThing,
  type LabelledThing,
  type OrphanRules,
  type OwnableThing,
  type ThingStay,
} from '../domain/retention/orphans.ts';
import { withHeartbeats } from './heartbeats.ts';
import type { ContainerRuntime, ReplicaRestarts } from './node-ports.ts';
import { ownGraceMs } from './remove-replica.ts';

/** What the removal of orphans needs from the world. */
export interface OrphanPorts {
  readonly instance: string;
  readonly runtime: Pick<ContainerRuntime, 'findContainer' | 'stopContainer' | 'removeContainer'> & {
    /** Everything that carries the label of an installation, of whichever. */
    listLabelled(): Promise<readonly LabelledThing[]>;
    /** Removes a network by its id unless a container is attached to it. @returns whether it is gone */
    removeNetworkById(network: { readonly id: string; readonly name: string }): Promise<boolean>;
  };
  readonly restarts: Pick<ReplicaRestarts, 'retire'> & {
    /** Whether somebody is just bringing it up. */
    isClaimed(containerId: string): boolean;
  };
  /** Ids of those that some record owns. @throws NODE_UNAVAILABLE (retryable) while the control plane is away */
  findOwned(things: readonly OwnableThing[]): Promise<ReadonlySet<string>>;
  now(): Date;
}

const WORDS: Record<ThingStay, string> = {
  young: 'made of late, so a record may be on its way',
  forged: 'carry labels of this installation, but were not made by it: look who made them',
  'other-installation': 'of another installation',
  'own-work': 'of a copy of a volume, whose next try removes them',
};

/** An application may take its time to stop: two hundred that take ten seconds each are gone within five minutes. */
const AT_A_TIME = 8;

const SHORT_ID = 12;

const OWNED = 'recorded';
const TOO_MANY = 'not recorded, but more than all that is: see whether the database is the right one';
const NEXT_TIME = 'not recorded, and left to the next run';

/**
 * Creates the activities by which a node rids itself of containers and networks that no record owns.
 *
 * Looking is safe to repeat. So is removing: each is found by its full id, and looked at again before, on the daemon, in
 * the records and among what is just being brought up here; what is gone counts as removed. Heartbeats tell the things; a
 * cancel is obeyed between two groups.
 */
export function createRetainOrphans(ports: OrphanPorts): OrphanActivities {
  return {
    surveyOrphans: ({ graceMs }) =>
      withHeartbeats({ step: 'look' }, async () => {
        const rules: OrphanRules = { instance: ports.instance, graceMs, nowMs: ports.now().getTime() };
        const judged = (await ports.runtime.listLabelled()).map((thing) => judgeThing(thing, rules));
        const things = judged.flatMap(({ thing }) => thing ?? []);
        const owned = things.length > 0 ? await ports.findOwned(things) : new Set<string>();
        const decision = decideOrphans(things, ({ id }) => owned.has(id));
        const goes = decision.isTooMany ? [] : decision.orphans.slice(0, MOST_ORPHANS);
        const stays = judged.flatMap((one) => (one.stays ? WORDS[one.stays] : []));
        const kept = {
          ...Object.fromEntries([...Map.groupBy(stays, (why) => why)].map(([why, group]) => [why, group.length])),
          [OWNED]: decision.owned,
          [decision.isTooMany ? TOO_MANY : NEXT_TIME]: decision.orphans.length - goes.length,
        };
        return { orphans: goes, kept };
      }),
    removeOrphans: ({ orphans }) =>
      withHeartbeats({ step: 'remove' }, async (heartbeats) => {
        const outcomes: Record<string, string> = {};
        for (const together of inGroups(orphans)) {
          Context.current().cancellationSignal.throwIfAborted();
          heartbeats.report({ step: 'remove', orphans: together.map(({ id }) => id.slice(0, SHORT_ID)).join(' ') });
          const became = await Promise.all(together.map((orphan) => removeOrphan(orphan, ports)));
          for (const [index, { id }] of together.entries()) outcomes[id] = became[index] ?? '';
        }
        return { outcomes };
      }),
  };
}

/** So many at a time, containers before their networks. */
function inGroups(orphans: readonly OwnableThing[]): OwnableThing[][] {
  return (['container', 'network'] as const).flatMap((kind) => {
    const ofKind = orphans.filter((orphan) => orphan.kind === kind);
    const groups = Math.ceil(ofKind.length / AT_A_TIME);
    return Array.from({ length: groups }, (_, group) => ofKind.slice(group * AT_A_TIME, (group + 1) * AT_A_TIME));
  });
}

/** @returns why it stays; empty when it is gone. */
async function removeOrphan(orphan: OwnableThing, ports: OrphanPorts): Promise<string> {
  if ((await ports.findOwned([orphan])).has(orphan.id)) return 'a record has come for it';
  if (orphan.kind === 'container') return await removeContainer(orphan, ports);
  return (await ports.runtime.removeNetworkById(orphan)) ? '' : 'a container is attached to it';
}

/** A rollout that has the same replica to bring up adopts its container; it says so before it starts it. */
async function removeContainer(
  { id, ownerId, replicaId }: OwnableThing,
  { instance, runtime, restarts }: OrphanPorts,
): Promise<string> {
  const found = await runtime.findContainer(id);
  if (!found) return '';
  const { labels } = found;
  const isSame = found.id === id && labels[LABEL.deploymentId] === ownerId && labels[LABEL.replica] === replicaId;
  if (!isSame || labels[LABEL.instance] !== instance) return 'it is another one than before';
  if (restarts.isClaimed(id)) return BROUGHT_UP;
  await restarts.retire(found);
  await runtime.stopContainer(id, ownGraceMs(found) ?? DEFAULT_TIMING.stopGraceMs);
  if (restarts.isClaimed(id)) return BROUGHT_UP;
  await runtime.removeContainer(id);
  return '';
}

const BROUGHT_UP = 'it is just being brought up';
