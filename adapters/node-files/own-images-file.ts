import { z } from 'zod';
import type { OwnImageStore } from '../docker/own-images.ts';
import { findFile, writePrivateFile } from '../files/private-file.ts';

const schema = z.object({
  version: z.literal(1),
  names: z.array(z.object({ name: z.string(), isBase: z.boolean(), usedAtMs: z.number() })),
});

/**
 * Keeps the names of images that the platform has brought in one file, replaced as a whole.
 *
 * @param onUnusable told when there is a file that cannot be read; it counts as none, so what it told of stays.
 */
export function createOwnImagesFile(path: string, onUnusable: (reason: unknown) => void): OwnImageStore {
  return {
    load: async () => {
      const text = await findFile(path);
      if (text === undefined) return [];
      try {
        return schema.parse(JSON.parse(text)).names;
      } catch (error) {
        onUnusable(error);
        return [];
      }
    },
    save: (names) => writePrivateFile(path, JSON.stringify({ version: 1, names })),
  };
}
