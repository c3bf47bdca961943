import { z } from 'zod';
import type { PullRecordStore } from '../docker/pull-records.ts';
import { findFile, writePrivateFile } from '../files/private-file.ts';

const schema = z.object({
  version: z.literal(1),
  grants: z.array(
    z.object({
      grantee: z.union([z.literal('everyone'), z.object({ credentialId: z.string() })]),
      name: z.string(),
      digest: z.string(),
    }),
  ),
});

/**
 * Keeps the records of pulls in one file, replaced as a whole. It names credentials by their ids and holds no secrets.
 *
 * @param onUnusable told when there is a file that cannot be read; it counts as none.
 */
export function createPullRecordsFile(path: string, onUnusable: (reason: unknown) => void): PullRecordStore {
  return {
    load: async () => {
      const text = await findFile(path);
      if (text === undefined) return [];
      try {
        return schema.parse(JSON.parse(text)).grants;
      } catch (error) {
        onUnusable(error);
        return [];
      }
    },
    save: (grants) => writePrivateFile(path, JSON.stringify({ version: 1, grants })),
  };
}
