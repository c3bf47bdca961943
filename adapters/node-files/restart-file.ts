import { z } from 'zod';
import type { RestartMemory } from '../../domain/restart-record.ts';
import { findFile, writePrivateFile } from '../files/private-file.ts';

const count = z.number().int().nonnegative();
const time = z
  .string()
  .refine((text) => !Number.isNaN(Date.parse(text)))
  .nullable();
const record = z.object({
  ...{ restarts: count, streak: count, startedAt: time, daemonRestarts: count },
  exitCode: z.number().int().nullable(),
  outOfMemory: z.boolean(),
  outOfMemoryNow: z.boolean(),
  failedTryAtMs: z.number().nullable(),
});
const file = z.object({
  version: z.literal(1),
  records: z.record(z.string(), record),
  retired: z.array(z.string()),
});

/** What a node process knows of restarts when it starts, and how it keeps that for the next one. */
export interface RestartFile {
  readonly known: RestartMemory;
  save(memory: RestartMemory): Promise<void>;
}

/**
 * Opens the file, which is replaced as a whole: a crash leaves the old one or the new one.
 *
 * Lost or damaged, counts begin at what Docker has, and a replica that was being removed may be started once more
 * before its removal goes on.
 *
 * @param onUnusable told when there is a file that cannot be read; it counts as none.
 */
export async function openRestartFile(path: string, onUnusable: (reason: unknown) => void): Promise<RestartFile> {
  return {
    known: await load(path, onUnusable),
    save: ({ records, retired }) => {
      const content: z.infer<typeof file> = {
        version: 1,
        records: Object.fromEntries(records),
        retired: [...retired],
      };
      return writePrivateFile(path, JSON.stringify(content));
    },
  };
}

async function load(path: string, onUnusable: (reason: unknown) => void): Promise<RestartMemory> {
  try {
    const text = await findFile(path);
    if (text === undefined) return { records: new Map(), retired: new Set() };
    const { records, retired } = file.parse(JSON.parse(text));
    return { records: new Map(Object.entries(records)), retired: new Set(retired) };
  } catch (error) {
    onUnusable(error);
    return { records: new Map(), retired: new Set() };
  }
}
