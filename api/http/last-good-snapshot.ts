import { readFile, rename, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import type { IngressSnapshot } from '../../domain/routing.ts';
import { ONLY_SERVICE } from '../../domain/spec.ts';

const upstreamsShape = z.array(z.object({ host: z.string(), port: z.number() }));

const snapshotShape = z.object({
  generation: z.number().int().min(0),
  routes: z.array(
    z.object({
      id: z.string(),
      hostname: z.string(),
      deploymentId: z.string(),
      service: z.string().default(ONLY_SERVICE),
      upstreams: upstreamsShape,
      canary: z
        .object({ revision: z.number().int(), weightPercent: z.number(), upstreams: upstreamsShape })
        .nullable()
        .default(null),
    }),
  ),
  certificates: z.array(z.object({ certificate: z.string(), key: z.string() })).default([]),
});

/**
 * Reads the snapshot that was served last; `undefined` when there is none.
 *
 * It is a snapshot and not the answer made of it: rules are made anew, so a file that somebody wrote into is held to
 * the same checks as the database.
 *
 * @throws what reading gave, or the first fault in its shape.
 */
export async function readLastGood(file: string): Promise<IngressSnapshot | undefined> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  return text === undefined ? undefined : snapshotShape.parse(JSON.parse(text));
}

/** Replaces the file at once or not at all; only its owner reads it, since keys of certificates may be in it. */
export async function writeLastGood(file: string, snapshot: IngressSnapshot): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`;
  await writeFile(temporary, JSON.stringify(snapshot), { mode: 0o600 });
  await rename(temporary, file);
}
