import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { listContext, packContext } from '../adapters/sources/pack-context.ts';
import type { UploadContextRequestSchema } from '../gen/obiente/cloud/v1/sources_pb.ts';
import type { Api } from './client.ts';
import { refuse } from './failures.ts';
import { backoffMs, isInterruption, pause } from './retry.ts';

/** Well under the 1 MiB that a part may have. */
const CHUNK_BYTES = 256 * 1024;

const ATTEMPTS = 5;

/** What was uploaded. */
export interface UploadedContext {
  readonly sha256: string;
  readonly bytes: number;
  readonly files: number;
}

/**
 * Packs a folder and uploads it; a broken upload is repeated from its beginning, which is harmless since the content
 * names itself.
 *
 * @throws INVALID_ARGUMENT as packing does, and when there is no Dockerfile.
 */
export async function uploadContext(
  api: Api,
  source: { folder: string; dockerfile?: string; organizationId: string; signal: AbortSignal },
): Promise<UploadedContext> {
  const { folder, dockerfile = 'Dockerfile', organizationId, signal } = source;
  if (source.dockerfile !== undefined) await requireDockerfile(folder, dockerfile);
  const entries = await listContext(folder, dockerfile);
  for (let attempt = 1; ; attempt += 1) {
    const hash = createHash('sha256');
    const parts = toParts(organizationId, packContext(folder, entries), hash);
    try {
      const answer = await api.sources.uploadContext(parts, { signal });
      const sha256 = hash.digest('hex');
      if (answer.contextSha256 !== sha256) throw refuse(folder, 'the upload arrived changed', 'Try again.');
      return {
        sha256,
        bytes: Number(answer.sizeBytes),
        files: entries.filter(({ kind }) => kind !== 'directory').length,
      };
    } catch (error) {
      signal.throwIfAborted();
      if (attempt === ATTEMPTS || !isInterruption(error)) throw error;
      await pause(backoffMs(attempt), signal);
    }
  }
}

async function* toParts(
  organizationId: string,
  archive: AsyncIterable<Buffer>,
  hash: { update(bytes: Uint8Array): unknown },
): AsyncGenerator<MessageInitShape<typeof UploadContextRequestSchema>> {
  yield { part: { case: 'header', value: { organizationId } } };
  let waiting: Buffer[] = [];
  let bytes = 0;
  const flush = (): MessageInitShape<typeof UploadContextRequestSchema> => {
    const chunk = Buffer.concat(waiting);
    waiting = [];
    bytes = 0;
    hash.update(chunk);
    return { part: { case: 'chunk', value: new Uint8Array(chunk) } };
  };
  for await (const piece of archive) {
    waiting.push(piece);
    bytes += piece.length;
    if (bytes >= CHUNK_BYTES) yield flush();
  }
  if (bytes > 0) yield flush();
}

async function requireDockerfile(folder: string, dockerfile: string): Promise<void> {
  const found = await stat(join(folder, dockerfile)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  });
  if (found?.isFile()) return;
  throw refuse(folder, `has no ${dockerfile}`, 'Add a Dockerfile, or deploy an image with --image.');
}
