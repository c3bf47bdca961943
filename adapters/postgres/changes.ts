import { Client } from 'pg';
import type { Log } from '../logging/log.ts';

/** What a listener wants to hear of. */
export type ChangeFilter =
  | { readonly deploymentId: string }
  | { readonly deployments: true }
  | { readonly nodes: true }
  /** How the deployment's builds go, and what they print. */
  | { readonly buildsOf: string }
  | { readonly ingress: true }
  | { readonly keys: true }
  | { readonly retentionRunId: string }
  /** How the node is emptied. */
  | { readonly drainOf: string }
  | { readonly rebalances: true }
  /** Alerts of an organization; of all and of the platform itself with `null`. */
  | { readonly alertsOf: string | null };

/**
 * What a listener is told: that something changed, so that it reads again. `resync` says that changes may have been
 * missed while the connection was away.
 */
export type Change =
  | { readonly kind: 'deployment'; readonly deploymentId: string }
  | { readonly kind: 'build'; readonly deploymentId: string }
  | { readonly kind: 'node'; readonly nodeId: string }
  | { readonly kind: 'ingress'; readonly generation: number }
  | { readonly kind: 'retention'; readonly runId: string }
  | { readonly kind: 'keys'; readonly rotationId: string }
  | { readonly kind: 'drain'; readonly nodeId: string }
  | { readonly kind: 'rebalance'; readonly rebalanceId: string }
  /** Of an organization's alerts, or with `platform` of the platform's. */
  | { readonly kind: 'alert'; readonly owner: string }
  | { readonly kind: 'resync' };

/** Must not throw and must not block: it wakes somebody who reads. */
export type ChangeListener = (change: Change) => void;

/** Changes of the control database as they are committed. */
export interface ChangeFeed {
  /** Calls the listener from now on. Returns how to end it. */
  subscribe(filter: ChangeFilter, listener: ChangeListener): () => void;
  /** Ends the connection; nobody is called any more. */
  close(): Promise<void>;
}

/** What the feed needs. */
export interface ChangeFeedOptions {
  readonly url: string;
  readonly log: Log;
}

const CHANNEL = 'obiente_changes';
const CONNECT_TIMEOUT_MS = 5_000;
/** How often the connection is asked for an answer: a lost host says nothing by itself. */
const PING_MS = 10_000;
const PING_TIMEOUT_MS = 5_000;
const FIRST_BACKOFF_MS = 100;
const LONGEST_BACKOFF_MS = 5_000;

/**
 * Opens the feed on a connection of its own, and returns once it listens or the first attempt has failed.
 *
 * Reconnects with a growing pause for as long as it is open, and tells every listener to read again afterwards. Keeps
 * nothing: what nobody listens to is dropped.
 */
export async function openChangeFeed({ url, log }: ChangeFeedOptions): Promise<ChangeFeed> {
  const listeners = createListeners(log);
  const closing = new AbortController();
  let wasConnected = false;
  const first = Promise.withResolvers<void>();

  const run = async (): Promise<void> => {
    let backoffMs = FIRST_BACKOFF_MS;
    while (!closing.signal.aborted) {
      try {
        await listen(url, closing.signal, {
          onListening: () => {
            backoffMs = FIRST_BACKOFF_MS;
            if (wasConnected) listeners.tellAll({ kind: 'resync' });
            wasConnected = true;
            first.resolve();
          },
          onPayload: listeners.tell,
        });
      } catch (error) {
        if (!closing.signal.aborted) log.warn({ err: error, backoffMs }, 'change feed lost, connecting again');
      }
      wasConnected = true;
      first.resolve();
      await pause(backoffMs * (0.5 + Math.random() / 2), closing.signal);
      backoffMs = Math.min(2 * backoffMs, LONGEST_BACKOFF_MS);
    }
  };
  const running = run();
  await first.promise;
  return {
    subscribe: listeners.add,
    close: async () => {
      closing.abort();
      listeners.clear();
      await running;
    },
  };
}

interface ListenHandlers {
  readonly onListening: () => void;
  readonly onPayload: (payload: string) => void;
}

/** Listens until the connection breaks (throws) or the signal says stop (returns). */
async function listen(url: string, signal: AbortSignal, { onListening, onPayload }: ListenHandlers): Promise<void> {
  const client = new Client({
    connectionString: url,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: PING_TIMEOUT_MS,
    keepAlive: true,
    application_name: 'obiente-changes',
  });
  const ended = Promise.withResolvers<void>();
  ended.promise.catch(() => undefined);
  client.on('error', ended.reject);
  client.on('end', () => ended.reject(new Error('the connection ended')));
  client.on('notification', ({ payload }) => onPayload(payload ?? ''));
  signal.addEventListener('abort', () => ended.resolve(), { once: true });
  let ping: NodeJS.Timeout | undefined;
  try {
    await Promise.race([client.connect(), ended.promise]);
    await client.query(`LISTEN ${CHANNEL}`);
    if (signal.aborted) return;
    onListening();
    ping = setInterval(() => void client.query('SELECT 1').catch(ended.reject), PING_MS);
    await ended.promise;
  } finally {
    clearInterval(ping);
    await endQuietly(client);
  }
}

/** A connection that is broken already cannot be ended, and need not be. */
async function endQuietly(client: Client): Promise<void> {
  const given = AbortSignal.timeout(1_000);
  await Promise.race([client.end().catch(() => undefined), pause(1_000, given)]);
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    if (signal.aborted) done();
    else signal.addEventListener('abort', done);
  });
}

function createListeners(log: Log) {
  /** By the id of a deployment, or by a kind of change, which is no such id. */
  const byTopic = new Map<string, Set<ChangeListener>>();
  const call = (listener: ChangeListener, change: Change): void => {
    try {
      listener(change);
    } catch (error) {
      log.error({ err: error }, 'a listener of the change feed failed');
    }
  };
  return {
    add: (filter: ChangeFilter, listener: ChangeListener): (() => void) => {
      const topic = topicOf(filter);
      const own: ChangeListener = (change) => listener(change);
      const listeners = byTopic.get(topic) ?? new Set();
      byTopic.set(topic, listeners.add(own));
      return () => {
        listeners.delete(own);
        if (listeners.size === 0 && byTopic.get(topic) === listeners) byTopic.delete(topic);
      };
    },
    tell: (payload: string): void => {
      const change = parseChange(payload);
      if (!change) {
        log.warn({ payload: payload.slice(0, 200) }, 'a change that means nothing was dropped');
        return;
      }
      for (const filter of filtersOf(change)) {
        for (const listener of byTopic.get(topicOf(filter)) ?? []) call(listener, change);
      }
    },
    tellAll: (change: Change): void => {
      for (const listeners of byTopic.values()) for (const listener of listeners) call(listener, change);
    },
    clear: (): void => byTopic.clear(),
  };
}

/** Ids of deployments stand for themselves; none has a word in it. */
function topicOf(filter: ChangeFilter): string {
  if ('deploymentId' in filter) return filter.deploymentId;
  if ('buildsOf' in filter) return `builds of ${filter.buildsOf}`;
  if ('alertsOf' in filter) return filter.alertsOf === null ? 'alerts' : `alerts of ${filter.alertsOf}`;
  if ('keys' in filter) return 'keys';
  if ('rebalances' in filter) return 'rebalances';
  if ('drainOf' in filter) return `drain of ${filter.drainOf}`;
  if ('deployments' in filter) return 'deployments';
  if ('nodes' in filter) return 'nodes';
  return 'ingress' in filter ? 'ingress' : `retention ${filter.retentionRunId}`;
}

type Told = Exclude<Change, { kind: 'resync' }>;

/** Who is told of a change. */
function filtersOf(change: Told): readonly ChangeFilter[] {
  if (change.kind === 'deployment') return [{ deploymentId: change.deploymentId }, { deployments: true }];
  if (change.kind === 'build') return [{ buildsOf: change.deploymentId }];
  if (change.kind === 'node') return [{ nodes: true }];
  if (change.kind === 'rebalance') return [{ rebalances: true }];
  if (change.kind === 'drain') return [{ drainOf: change.nodeId }];
  if (change.kind === 'alert') return [{ alertsOf: change.owner }, { alertsOf: null }];
  if (change.kind === 'keys') return [{ keys: true }];
  return [change.kind === 'ingress' ? { ingress: true } : { retentionRunId: change.runId }];
}

function parseChange(payload: string): Told | undefined {
  let parsed: Readonly<Record<string, unknown>> | null;
  try {
    parsed = JSON.parse(payload) as typeof parsed;
  } catch {
    // Anybody with access to the database may write to the channel.
    return undefined;
  }
  if (typeof parsed?.deployment === 'string') return { kind: 'deployment', deploymentId: parsed.deployment };
  if (typeof parsed?.build === 'string') return { kind: 'build', deploymentId: parsed.build };
  if (typeof parsed?.node === 'string') return { kind: 'node', nodeId: parsed.node };
  if (typeof parsed?.ingress === 'number') return { kind: 'ingress', generation: parsed.ingress };
  if (typeof parsed?.retention === 'string') return { kind: 'retention', runId: parsed.retention };
  if (typeof parsed?.rebalance === 'string') return { kind: 'rebalance', rebalanceId: parsed.rebalance };
  if (typeof parsed?.drain === 'string') return { kind: 'drain', nodeId: parsed.drain };
  if (typeof parsed?.alert === 'string') return { kind: 'alert', owner: parsed.alert };
  if (typeof parsed?.keys === 'string') return { kind: 'keys', rotationId: parsed.keys };
  return undefined;
}
