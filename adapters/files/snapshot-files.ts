import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, rename, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { SnapshotContent } from '../../contracts/volumes.ts';
import { DomainError } from '../../domain/errors.ts';
import { syncFolder } from './sync-folder.ts';

/** Where a node keeps its snapshots. */
export interface SnapshotStore {
  /**
   * Writes a snapshot, whole or not at all: what was killed half-way leaves something that the next attempt replaces.
   *
   * @throws INSUFFICIENT_CAPACITY, CONFIGURATION (final); OBJECT_STORAGE_UNAVAILABLE (retryable)
   */
  write(snapshotId: string, archive: Readable, onBytes: (bytes: number) => void): Promise<SnapshotContent>;
  /** Opens a snapshot after reading all of it. @throws SNAPSHOT_DAMAGED (final) when it is another, or none. */
  openChecked(snapshotId: string, content: SnapshotContent): Promise<Readable>;
  /** Removes a snapshot and what is left of attempts at it. Safe to run twice. */
  remove(snapshotId: string): Promise<void>;
}

/** Left free on the disk of the snapshots, so that nothing else on it fails for one. */
const LEAVE_FREE_BYTES = 512 * 1024 * 1024;

/** The free space is looked at each time that so much was written. */
const LOOK_EVERY_BYTES = 32 * 1024 * 1024;

/**
 * Opens the folder of the snapshots, one file of mode 0600 each, which need not exist yet. Writing ends with
 * INSUFFICIENT_CAPACITY before its disk is full.
 */
export function createSnapshotFiles(folder: string): SnapshotStore {
  const pathOf = (snapshotId: string): string => join(folder, `${snapshotId}.tar`);
  const temporaryOf = (snapshotId: string): string => `${pathOf(snapshotId)}.part`;
  return {
    write: async (snapshotId, archive, onBytes) => {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const temporary = temporaryOf(snapshotId);
      await rm(temporary, { force: true });
      const written = await writeAll(temporary, archive, onBytes);
      await rename(temporary, pathOf(snapshotId));
      await syncFolder(folder);
      return written;
    },
    openChecked: async (snapshotId, { sizeBytes, sha256 }) => {
      const path = pathOf(snapshotId);
      const found = await stat(path).catch(() => undefined);
      if (!found) throw damagedSnapshot(snapshotId, 'its file is not there');
      if (found.size !== sizeBytes || (await hashOf(path)) !== sha256) {
        throw damagedSnapshot(snapshotId, 'its file is not what was written');
      }
      return createReadStream(path);
    },
    remove: async (snapshotId) => {
      await rm(temporaryOf(snapshotId), { force: true });
      await rm(pathOf(snapshotId), { force: true });
    },
  };
}

async function writeAll(path: string, archive: Readable, onBytes: (bytes: number) => void): Promise<SnapshotContent> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  let lookAt = 0;
  const file = await open(path, 'wx', 0o600);
  try {
    for await (const chunk of archive as AsyncIterable<Buffer>) {
      if (sizeBytes >= lookAt) {
        await checkSpace(path);
        lookAt = sizeBytes + LOOK_EVERY_BYTES;
      }
      hash.update(chunk);
      await file.writeFile(chunk);
      sizeBytes += chunk.length;
      onBytes(sizeBytes);
    }
    await file.sync();
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await file.close();
  }
  return { sizeBytes, sha256: hash.digest('hex') };
}

async function checkSpace(path: string): Promise<void> {
  const { bavail, bsize } = await statfs(path);
  if (bavail * bsize >= LEAVE_FREE_BYTES) return;
  throw new DomainError('INSUFFICIENT_CAPACITY', 'cannot take the snapshot: the disk of the snapshots is nearly full', {
    hint: 'Free disk space in NODE_SNAPSHOT_DIR of that node, or remove older snapshots.',
  });
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** Says that a snapshot is not what was written. */
export function damagedSnapshot(snapshotId: string, finding: string): DomainError {
  return new DomainError('SNAPSHOT_DAMAGED', `cannot use snapshot ${snapshotId}: ${finding}`, {
    hint: 'Restore another snapshot, and look at where that node keeps them.',
  });
}
