import type { Log } from '../../adapters/logging/log.ts';
import { type IngressSnapshot, type PemCertificate, toTraefikConfig } from '../../domain/routing.ts';
import { readLastGood, writeLastGood } from './last-good-snapshot.ts';

/** What the feed needs from the world. */
export interface IngressFeedDeps {
  /** Reads the wanted routes; must settle, so its own timeouts are its business. */
  readonly readSnapshot: () => Promise<IngressSnapshot>;
  /** Calls the listener whenever the snapshot may have changed. Returns how to end it. */
  readonly subscribe: (listener: () => void) => () => void;
  readonly defaultCertificate: () => Promise<PemCertificate>;
  /** Where the last snapshot is kept for a start without a database. */
  readonly lastGoodFile: string;
  readonly log: Log;
}

/** A ready answer. */
export interface IngressAnswer {
  /** Grows whenever the body becomes another; of this process only. */
  readonly version: number;
  readonly generation: number;
  readonly body: Buffer;
}

/**
 * Keeps the newest answer for ingresses, and tells when it becomes another.
 *
 * One read of the database at a time, and one more after it if a change came meanwhile. A read that fails leaves the
 * answer as it is. A generation that is older than the one served is refused: a lagging copy of the database must not
 * roll routes back. The file counts only until the database has answered once.
 */
export function createIngressFeed(deps: IngressFeedDeps) {
  let answer: IngressAnswer | undefined;
  let isFromDatabase = false;
  let reading: Promise<void> | undefined;
  let isStale = false;
  let saving: Promise<void> = Promise.resolve();
  const waiting = new Set<() => void>();

  const adopt = async (snapshot: IngressSnapshot): Promise<void> => {
    const { config, refused } = toTraefikConfig({ ...snapshot, defaultCertificate: await deps.defaultCertificate() });
    for (const route of refused) deps.log.error(route, 'route left out of the ingress snapshot');
    const body = Buffer.from(JSON.stringify(config));
    if (answer?.body.equals(body)) return;
    answer = { version: (answer?.version ?? 0) + 1, generation: snapshot.generation, body };
    for (const wake of waiting) wake();
  };

  const save = (snapshot: IngressSnapshot): void => {
    saving = saving
      .then(() => writeLastGood(deps.lastGoodFile, snapshot))
      .catch((error: unknown) => deps.log.error({ err: error }, 'cannot keep the last ingress snapshot'));
  };

  const readOnce = async (): Promise<void> => {
    try {
      const snapshot = await deps.readSnapshot();
      if (isFromDatabase && answer && snapshot.generation < answer.generation) {
        deps.log.warn({ served: answer.generation, read: snapshot.generation }, 'older ingress snapshot refused');
        return;
      }
      const versionBefore = answer?.version;
      await adopt(snapshot);
      if (!isFromDatabase || answer?.version !== versionBefore) save(snapshot);
      isFromDatabase = true;
    } catch (error) {
      deps.log.warn({ err: error, served: answer?.generation }, 'cannot read the ingress snapshot: the last one stays');
      if (!answer) await adoptLastGood();
    }
  };

  const adoptLastGood = async (): Promise<void> => {
    try {
      const snapshot = await readLastGood(deps.lastGoodFile);
      if (!snapshot) return;
      await adopt(snapshot);
      deps.log.warn({ generation: snapshot.generation }, 'serving the kept ingress snapshot');
    } catch (error) {
      deps.log.error({ err: error }, 'cannot use the kept ingress snapshot');
    }
  };

  const readAll = async (): Promise<void> => {
    do {
      isStale = false;
      await readOnce();
    } while (isStale);
    reading = undefined;
  };

  const refresh = (): Promise<void> => {
    reading ??= readAll();
    return reading;
  };

  const unsubscribe = deps.subscribe(() => {
    isStale = true;
    void refresh();
  });

  return {
    /** The newest answer; `undefined` until there is one. */
    current: (): IngressAnswer | undefined => answer,
    /** Reads the database, or joins the read under way. Never throws. */
    refresh,
    /** Resolves when the answer is another than `version`, or on abort. */
    async untilOther(version: number, signal: AbortSignal): Promise<void> {
      if (signal.aborted || answer?.version !== version) return;
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          waiting.delete(wake);
          signal.removeEventListener('abort', wake);
          resolve();
        };
        waiting.add(wake);
        signal.addEventListener('abort', wake);
      });
    },
    /** Ends the subscription and waits for the file. */
    async close(): Promise<void> {
      unsubscribe();
      await saving;
    },
  };
}
