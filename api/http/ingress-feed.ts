import type { Log } from '../../adapters/logging/log.ts';
import { type IngressSnapshot, type PemCertificate, toTraefikConfig } from '../../domain/routing.ts';
import { createIngressAnswers } from './ingress-answers.ts';
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

/**
 * Keeps the newest answer for ingresses, and tells when it becomes another.
 *
 * A read that fails leaves the answer as it is. A generation that is older than the one served is refused: a lagging
 * copy of the database must not roll routes back. The file counts only until the database has answered once.
 */
export function createIngressFeed(deps: IngressFeedDeps) {
  const answers = createIngressAnswers();
  let isFromDatabase = false;
  let saving: Promise<void> = Promise.resolve();

  const adopt = async (snapshot: IngressSnapshot): Promise<boolean> => {
    const { config, refused } = toTraefikConfig({ ...snapshot, defaultCertificate: await deps.defaultCertificate() });
    for (const route of refused) deps.log.error(route, 'route left out of the ingress snapshot');
    return answers.replace(snapshot.generation, Buffer.from(JSON.stringify(config)));
  };

  const adoptFromDatabase = async (snapshot: IngressSnapshot): Promise<void> => {
    const served = answers.current()?.generation ?? 0;
    if (isFromDatabase && snapshot.generation < served) {
      deps.log.warn({ served, read: snapshot.generation }, 'older ingress snapshot refused');
      return;
    }
    const isOther = await adopt(snapshot);
    if (isOther || !isFromDatabase) {
      saving = saving
        .then(() => writeLastGood(deps.lastGoodFile, snapshot))
        .catch((error: unknown) => deps.log.error({ err: error }, 'cannot keep the last ingress snapshot'));
    }
    isFromDatabase = true;
  };

  const adoptLastGood = async (): Promise<void> => {
    try {
      const snapshot = await readLastGood(deps.lastGoodFile);
      if (snapshot && (await adopt(snapshot))) deps.log.warn(`serving kept routes, generation ${snapshot.generation}`);
    } catch (error) {
      deps.log.error({ err: error }, 'cannot use the kept ingress snapshot');
    }
  };

  const readOnce = async (): Promise<void> => {
    try {
      await adoptFromDatabase(await deps.readSnapshot());
    } catch (error) {
      deps.log.warn({ err: error }, 'cannot read the ingress snapshot: the last one stays');
      if (!answers.current()) await adoptLastGood();
    }
  };

  const reads = coalesce(readOnce);
  const unsubscribe = deps.subscribe(() => void reads.again());
  return {
    current: answers.current,
    untilOther: answers.untilOther,
    /** Reads the database, or joins the read under way. Never throws. */
    refresh: reads.join,
    /** Ends the subscription and waits for the file. */
    async close(): Promise<void> {
      unsubscribe();
      await saving;
    },
  };
}

/** Runs `work` one at a time: `join` takes part in the run under way, `again` makes sure that one begins after now. */
function coalesce(work: () => Promise<void>) {
  let running: Promise<void> | undefined;
  let isStale = false;
  const run = async (): Promise<void> => {
    do {
      isStale = false;
      await work();
    } while (isStale);
    running = undefined;
  };
  const join = (): Promise<void> => {
    running ??= run();
    return running;
  };
  const again = (): Promise<void> => {
    isStale = true;
    return join();
  };
  return { join, again };
}
