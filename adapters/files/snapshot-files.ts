import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, rename, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { DomainError } from '../../domain/errors.ts';
import { syncFolder } from './sync-folder.ts';

/** A snapshot as it was written. */
export interface WrittenSnapshot {
  readonly sizeBytes: number;
  /** Hex. */
  readonly sha256: string;
}

/** The snapshots of one node: one file each, in one folder. */
export interface SnapshotFiles {
  /**
   * Writes a snapshot, whole or not at all, mode 0600: what was killed half-way leaves a temporary file that the next
   * attempt replaces.
   *
   * @throws INSUFFICIENT_CAPACITY (final) before the disk is full.
   */
  write(snapshotId: string, archive: Readable, onBytes: (bytes: number) => void): Promise<WrittenSnapshot>;
  /** Opens a snapshot after reading all of it. @throws SNAPSHOT_DAMAGED (final) when it is another, or none. */
  openChecked(snapshotId: string, written: WrittenSnapshot): Promise<Readable>;
  /** Removes a snapshot and what is left of attempts at it. Safe to run twice. */
  remove(snapshotId: string): Promise<void>;
}

/** Left free on the disk of the snapshots, so that nothing else on it fails for one. */
const LEAVE_FREE_BYTES = 512 * 1024 * 1024;

/** The free space is looked at each time that so much was written. */
const LOOK_EVERY_BYTES = 32 * 1024 * 1024;

/** Opens the folder of the snapshots, which need not exist yet. */
export function createSnapshotFiles(folder: string): SnapshotFiles {
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
      if (found?.size !== sizeBytes || (await hashOf(path)) !== sha256) throw damaged(snapshotId, found !== undefined);
      return createReadStream(path);
    },
    remove: async (snapshotId) => {
      await rm(temporaryOf(snapshotId), { force: true });
      await rm(pathOf(snapshotId), { force: true });
    },
  };
}

async function writeAll(path: string, archive: Readable, onBytes: (bytes: number) => void): Promise<WrittenSnapshot> {
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

function damaged(snapshotId: string, isThere: boolean): DomainError {
  const finding = isThere ? 'its file is not what was written' : 'its file is not there';
  return new DomainError('SNAPSHOT_DAMAGED', `cannot use snapshot ${snapshotId}: ${finding}`, {
    hint: 'Restore another snapshot, and look at the disk of that node.',
  });
}
