import type { RestartFile } from '../../adapters/node-files/restart-file.ts';
import type { RestartRecord } from '../../domain/restart-record.ts';

/** What this process knows of restarts, kept for the next one. */
export interface KeptRestarts {
  get(containerId: string): RestartRecord | undefined;
  set(containerId: string, record: RestartRecord): void;
  isRetired(containerId: string): boolean;
  /** Takes effect at once; returns when the next process would know it too, or that cannot be had. */
  retire(containerId: string): Promise<void>;
  /** Takes the retirement back. */
  readmit(containerId: string): void;
  /** Lets go of a container that is gone. */
  forget(containerId: string): void;
  /** Ids of all containers that are known. */
  ids(): string[];
}

/**
 * Creates the memory. It saves after a change what cannot be read from Docker again; many changes cost one write, and
 * one write is under way at a time.
 *
 * A disk that takes no more must not keep replicas from being restarted or removed: what cannot be saved is in force
 * all the same, for as long as this process lives.
 *
 * @param onUnsaved told of every write that failed.
 */
export function createRestartMemory({ known, save }: RestartFile, onUnsaved: (reason: unknown) => void): KeptRestarts {
  const records = new Map(known.records);
  const retired = new Set(known.retired);
  let last: Promise<void> = Promise.resolve();
  let queued: Promise<void> | undefined;

  const write = async (): Promise<void> => {
    queued = undefined;
    const kept = [...records].filter(([, record]) => isWorthKeeping(record));
    await save({ records: new Map(kept), retired: new Set(retired) }).catch(onUnsaved);
  };
  /** Returns once everything that has changed so far is saved. */
  const saved = (): Promise<void> => {
    if (!queued) {
      queued = last.then(write);
      last = queued;
    }
    return queued;
  };

  return {
    get: (id) => records.get(id),
    set: (id, record) => {
      const before = records.get(id);
      records.set(id, record);
      if (isWorthKeeping(record) && !isSame(before, record)) void saved();
    },
    isRetired: (id) => retired.has(id),
    retire: async (id) => {
      retired.add(id);
      await saved();
    },
    readmit: (id) => {
      if (retired.delete(id)) void saved();
    },
    forget: (id) => {
      const wasRetired = retired.delete(id);
      const record = records.get(id);
      records.delete(id);
      if (wasRetired || (record && isWorthKeeping(record))) void saved();
    },
    ids: () => [...new Set([...records.keys(), ...retired])],
  };
}

/** One that never exited is found again in Docker as it is. */
function isWorthKeeping({ restarts, streak, exitCode }: RestartRecord): boolean {
  return restarts > 0 || streak > 0 || exitCode !== null;
}

function isSame(one: RestartRecord | undefined, other: RestartRecord): boolean {
  return one !== undefined && (Object.keys(other) as (keyof RestartRecord)[]).every((key) => one[key] === other[key]);
}
