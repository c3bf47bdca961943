import { join } from 'node:path';
import { Readable } from 'node:stream';
import { listContext, packContext } from './pack-context.ts';

/** What is packed. */
export interface PackTreeRequest {
  readonly folder: string;
  /** Relative to the folder, checked by `parseSubdirectory`; empty for all of it. */
  readonly subdirectory: string;
  /** Relative to the subdirectory; packed even where `.dockerignore` names it. */
  readonly dockerfile?: string;
}

/**
 * Packs a folder as the build context of a Docker daemon: in a fixed order, without times and owners, without what
 * `.dockerignore` leaves out. The same files are the same bytes, so Docker's cache answers for them.
 *
 * The stream fails with INVALID_ARGUMENT for what no context may hold; links are never followed.
 */
export function packTree({ folder, subdirectory, dockerfile = 'Dockerfile' }: PackTreeRequest): Readable {
  const root = join(folder, subdirectory);
  return Readable.from(
    (async function* () {
      yield* packContext(root, await listContext(root, dockerfile));
    })(),
    { objectMode: false },
  );
}
