import { createHash } from 'node:crypto';
import type { ContextFolder } from '../../activities/git-ports.ts';
import { DomainError, isDomainError } from '../../domain/errors.ts';
import { packTree } from './pack-tree.ts';
import { lookAt } from './source-file.ts';

/** Twice what a source may have: each file is in one context, mostly, and many services share one. */
const MAX_BYTES = 1024 ** 3;

/**
 * Says by service what folders of a source tree are built from: the hex SHA-256 of each as it is packed for a build.
 *
 * Services that are built from the same are packed once. Once the bytes of all exceed `maxBytes`, the rest is left out:
 * whoever asks then takes those for changed.
 *
 * @throws SOURCE_REFUSED for a folder that is not there or is a link, and for what no context may hold.
 */
export async function digestFolders(
  root: string,
  folders: readonly ContextFolder[],
  signal: AbortSignal,
  maxBytes = MAX_BYTES,
): Promise<Readonly<Record<string, string>>> {
  const known = new Map<string, string>();
  const digests: Record<string, string> = {};
  let left = maxBytes;
  for (const { service, folder, dockerfilePath } of folders) {
    await checkFolder(root, service, folder);
    const key = JSON.stringify([folder, dockerfilePath]);
    if (!known.has(key) && left > 0) {
      const { sha256, bytes } = await digest(root, { service, folder, dockerfilePath }, { signal, maxBytes: left });
      left -= bytes;
      if (sha256 !== null) known.set(key, sha256);
    }
    const sha256 = known.get(key);
    if (sha256 !== undefined) digests[service] = sha256;
  }
  return digests;
}

async function digest(
  root: string,
  { service, folder, dockerfilePath: dockerfile }: ContextFolder,
  { signal, maxBytes }: { readonly signal: AbortSignal; readonly maxBytes: number },
): Promise<{ readonly sha256: string | null; readonly bytes: number }> {
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    for await (const chunk of packTree({ folder: root, subdirectory: folder, dockerfile }) as AsyncIterable<Buffer>) {
      signal.throwIfAborted();
      bytes += chunk.length;
      if (bytes > maxBytes) return { sha256: null, bytes };
      hash.update(chunk);
    }
  } catch (error) {
    if (!isDomainError(error)) throw error;
    throw refused(service, error.message, error.hint);
  }
  return { sha256: hash.digest('hex'), bytes };
}

async function checkFolder(root: string, service: string, folder: string): Promise<void> {
  const kind = await lookAt(root, folder);
  if (kind === 'folder') return;
  const what = kind === null ? 'is not there' : `is a ${kind === 'other' ? 'special file' : kind}`;
  throw refused(service, `the folder ${JSON.stringify(folder)} ${what}`);
}

function refused(service: string, finding: string, hint = 'Correct the context of the service.'): DomainError {
  return new DomainError('SOURCE_REFUSED', `the source cannot be built: services.${service}.build: ${finding}`, {
    hint,
  });
}
