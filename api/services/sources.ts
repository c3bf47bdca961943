import type { ServiceImpl } from '@connectrpc/connect';
import { recordBuildContext } from '../../adapters/postgres/build-contexts.ts';
import type { Database } from '../../adapters/postgres/database.ts';
import type { ContextStore } from '../../adapters/sources/context-store.ts';
import { invalidArgument } from '../../domain/errors.ts';
import type { SourcesService, UploadContextRequest } from '../../gen/obiente/cloud/v1/sources_pb.ts';
import { getCallerOrganization } from '../auth/caller.ts';

/** Creates the service of sources. */
export function createSourcesService(deps: {
  readonly db: Database;
  readonly contexts: ContextStore;
}): ServiceImpl<typeof SourcesService> {
  return {
    async uploadContext(requests, context) {
      const organizationId = getCallerOrganization(context);
      const { sha256, sizeBytes, entries } = await deps.contexts.store(chunksOf(requests));
      await recordBuildContext(deps.db, { organizationId, sha256, sizeBytes, entries });
      return { contextSha256: sha256, sizeBytes: BigInt(sizeBytes), entries };
    },
  };
}

/** The bytes of an upload, whose first message, and no other, is a header. */
async function* chunksOf(requests: AsyncIterable<UploadContextRequest>): AsyncIterable<Uint8Array> {
  let isFirst = true;
  for await (const { part } of requests) {
    if (isFirst !== (part.case === 'header')) {
      const place = isFirst ? 'first' : 'later';
      throw invalidArgument('part', `found ${part.case ?? 'nothing'} as a ${place} message`, 'one header, then chunks');
    }
    isFirst = false;
    if (part.case === 'chunk') yield part.value;
  }
}
