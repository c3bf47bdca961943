import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { writePrivateFile } from '../files/private-file.ts';

const schema = z.object({
  version: z.literal(1),
  holder: z.uuid(),
  pid: z.number().int().positive(),
  process: z.string().min(1),
  pidNamespace: z.string().min(1),
});

/** The process that took a node's lease last, in terms by which this host can tell whether it still runs. */
export type LeaseHolder = Omit<z.infer<typeof schema>, 'version'>;

/**
 * Reads who took the lease last, at this very moment; `undefined` where nobody has, and for a file that says nothing.
 */
export function readLeaseHolder(path: string): LeaseHolder | undefined {
  try {
    return schema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    // There is none, or it was damaged: then a lease runs out before another process takes it.
    return undefined;
  }
}

/** Keeps who has taken the lease. */
export async function writeLeaseHolder(path: string, holder: LeaseHolder): Promise<void> {
  await writePrivateFile(path, JSON.stringify({ version: 1, ...holder }));
}
