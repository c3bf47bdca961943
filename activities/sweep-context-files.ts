import { Context } from '@temporalio/activity';
import type { ContextActivities, RetentionScope } from '../contracts/retention.ts';
import { withHeartbeats } from './heartbeats.ts';

/** Files of one page: a look into the database for all of them, and a removal each. */
const PAGE = 500;

/** What clearing files away needs from the world. */
export interface ContextFilePorts {
  readonly files: {
    settle(unlessStoredAfterMs: number): Promise<void>;
    list(page: {
      readonly after: string;
      readonly limit: number;
    }): Promise<readonly { readonly sha256: string; readonly sizeBytes: number; readonly storedAtMs: number }[]>;
    remove(sha256: string, unlessStoredAfterMs: number): Promise<boolean>;
  };
  /** Which of these contexts are recorded; of a dry run, as it will be once what may go has gone. */
  findNeeded(scope: RetentionScope, hashes: readonly string[]): Promise<ReadonlySet<string>>;
  now(): Date;
}

/**
 * Creates the activity that removes files of contexts which no record names.
 *
 * A file is older than its record, so one without a record that was stored of late may be about to get one, and stays.
 * Safe to run twice: a page that is gone through again finds less, and then counts less. Heartbeats tell the file.
 */
export function createSweepContextFiles({ files, findNeeded, now }: ContextFilePorts): ContextActivities {
  return {
    sweepContextFiles: ({ after, ...scope }) =>
      withHeartbeats({ step: 'contexts' }, async (heartbeats) => {
        const longAgoMs = now().getTime() - scope.policy.contextsMs;
        if (after === '' && !scope.isDryRun) await files.settle(longAgoMs);
        const page = await files.list({ after, limit: PAGE });
        const old = page.filter(({ storedAtMs }) => storedAtMs <= longAgoMs);
        const needed = await findNeeded(
          scope,
          old.map(({ sha256 }) => sha256),
        );
        const removed = [];
        for (const file of old.filter(({ sha256 }) => !needed.has(sha256))) {
          Context.current().cancellationSignal.throwIfAborted();
          heartbeats.report({ step: 'contexts', file: file.sha256 });
          if (scope.isDryRun || (await files.remove(file.sha256, longAgoMs))) removed.push(file);
        }
        return {
          removed: removed.length,
          bytes: removed.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
          kept: page.length - removed.length,
          next: page.length < PAGE ? null : (page.at(-1)?.sha256 ?? null),
        };
      }),
  };
}
