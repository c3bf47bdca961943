import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Change, ChangeFeed, ChangeFilter } from '../adapters/postgres/changes.ts';
import type { Database } from '../adapters/postgres/database.ts';
import { type LocatedReplica, listLocatedReplicas, type ReplicaFilter } from '../adapters/postgres/located-replicas.ts';
import { DomainError } from '../domain/errors.ts';
import type { WatchReplicasResponseSchema } from '../gen/obiente/cloud/v1/replicas_pb.ts';
import { createToldReplicas, type ToldReplicas } from './told-replicas.ts';
import { createWakeUp } from './wake-up.ts';
import { toWireLocated } from './wire/located-replica.ts';

/** Replicas read and sent at a time. */
const BATCH = 200;

/** Replicas that a stream watches at most: for each it holds what it has told, some 100 bytes. */
const MAX_WATCHED = 10_000;

/** Deployments that wait to be read again, at most; with more of them everything is read again. */
const MAX_DIRTY = 1_000;

/** What a watch needs. */
export interface WatchReplicasDeps {
  readonly db: Database;
  readonly changes: ChangeFeed;
  readonly heartbeatMs: number;
  readonly signal: AbortSignal;
}

type WatchMessage = MessageInitShape<typeof WatchReplicasResponseSchema>;

/**
 * Streams the replicas that match: all of them first, then what is new, changed or gone of them.
 *
 * The feed only says which deployments to read again, and of each of them what is sent is what the table holds then. So
 * a slow reader makes this process hold some ids and no replicas, and is told the newest only. What the feed may have
 * missed, and what concerns many deployments at once, makes it read everything again.
 *
 * @throws INVALID_ARGUMENT when more than 10,000 replicas match, also later on.
 */
export async function* watchReplicas(deps: WatchReplicasDeps, filter: ReplicaFilter): AsyncGenerator<WatchMessage> {
  const { changes, heartbeatMs, signal } = deps;
  const changed = createWakeUp();
  const dirty = createDirtySet();
  const listener = (change: Change): void => {
    dirty.add(change);
    changed.wake();
  };
  const leaves = topicsOf(filter).map((topic) => changes.subscribe(topic, listener));
  const unsubscribe = (): void => {
    for (const leave of leaves) leave();
  };
  // A generator that waits for a client that is gone is never resumed: the signal is what surely comes.
  signal.addEventListener('abort', unsubscribe, { once: true });
  const told = createToldReplicas();
  try {
    yield* readAgain(deps, filter, { told, among: undefined, isFirst: true });
    for (let toldAtMs = performance.now(); ; ) {
      signal.throwIfAborted();
      const among = dirty.take();
      if (among === undefined || among.length > 0) {
        for await (const message of readAgain(deps, filter, { told, among, isFirst: false })) {
          yield message;
          toldAtMs = performance.now();
        }
      }
      // Changes that do not concern the reader wake as well, and must not keep a sign of life from it.
      const leftMs = heartbeatMs - (performance.now() - toldAtMs);
      if (leftMs > 0) await changed.wait(leftMs, signal);
      else {
        yield { complete: true };
        toldAtMs = performance.now();
      }
    }
  } finally {
    unsubscribe();
    signal.removeEventListener('abort', unsubscribe);
  }
}

/** What can change what is told. Routes matter only where a hostname decides. */
function topicsOf({ deploymentId, hostname }: ReplicaFilter): ChangeFilter[] {
  const ofDeployments: ChangeFilter = deploymentId === undefined ? { deployments: true } : { deploymentId };
  return [ofDeployments, { nodes: true }, ...(hostname === undefined ? [] : [{ ingress: true } as const])];
}

/** Which deployments have changed since they were taken; each once, however often it changed. */
function createDirtySet() {
  let ids = new Set<string>();
  let isEverything = false;
  return {
    add: (change: Change): void => {
      if (isEverything) return;
      if (change.kind === 'deployment') ids.add(change.deploymentId);
      if (change.kind === 'deployment' && ids.size <= MAX_DIRTY) return;
      isEverything = true;
      ids = new Set();
    },
    /** Those that have changed; `undefined` when it may be any. */
    take: (): readonly string[] | undefined => {
      const taken = isEverything ? undefined : [...ids];
      ids = new Set();
      isEverything = false;
      return taken;
    },
  };
}

interface Reading {
  readonly told: ToldReplicas;
  /** Deployments to read; `undefined` for all. */
  readonly among: readonly string[] | undefined;
  /** Whether nothing has been told yet, so that an empty answer is news. */
  readonly isFirst: boolean;
}

/** Reads what matches, a batch at a time, and tells what the reader does not know yet. */
async function* readAgain(
  { db, signal }: WatchReplicasDeps,
  filter: ReplicaFilter,
  { told, among, isFirst }: Reading,
): AsyncGenerator<WatchMessage> {
  const seen = told.beginReading(among);
  let after: LocatedReplica | undefined;
  for (;;) {
    signal.throwIfAborted();
    const rows = await listLocatedReplicas(db, filter, { limit: BATCH, after, among });
    const hasAll = rows.length < BATCH;
    const news = rows.filter((row) => seen.isNews(row));
    if (told.size() > MAX_WATCHED) throw tooMany();
    if (news.length > 0 || (isFirst && hasAll)) {
      yield { replicas: news.map(toWireLocated), complete: !isFirst || hasAll };
    }
    if (hasAll) break;
    after = rows.at(-1);
  }
  const removed = seen.takeMissing();
  for (let from = 0; from < removed.length; from += BATCH) {
    yield { removed: removed.slice(from, from + BATCH), complete: true };
  }
}

function tooMany(): DomainError {
  return new DomainError('INVALID_ARGUMENT', `cannot watch more than ${MAX_WATCHED} replicas at once; more match`, {
    hint: 'Name an organization, a deployment, a node or a hostname, or list them page by page.',
  });
}
