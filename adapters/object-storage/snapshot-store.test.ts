import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import {
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../test/support/free-port.ts';
import { clientOf, startTestObjectStorage, type TestObjectStorage } from '../../test/support/object-storage.ts';
import { createSnapshotFiles, type SnapshotStore } from '../files/snapshot-files.ts';
import { createSnapshotObjects } from './snapshot-objects.ts';

const MIB = 1024 * 1024;
const PREFIX = 'backups/instance1/';

let storage: TestObjectStorage;
let folder: string;
beforeAll(async () => {
  storage = await startTestObjectStorage();
  folder = await mkdtemp(join(tmpdir(), 'obiente-snapshots-'));
});
afterAll(async () => {
  await storage?.remove();
  await rm(folder, { recursive: true, force: true });
});

/** A place for snapshots, and what can be done to it behind its back. */
interface Place {
  store(): SnapshotStore;
  /** Everything there, half-written ones included. */
  list(): Promise<string[]>;
  overwrite(id: string, content: Buffer): Promise<unknown>;
  /** Leaves what an attempt leaves that is killed half-way. */
  leaveAttempt(id: string): Promise<unknown>;
}

const PLACES: Record<string, Place> = {
  folder: {
    store: () => createSnapshotFiles(folder),
    list: () => readdir(folder),
    overwrite: (id, content) => writeFile(join(folder, `${id}.tar`), content),
    leaveAttempt: (id) => writeFile(join(folder, `${id}.tar.part`), 'half'),
  },
  bucket: {
    store: () => createSnapshotObjects({ client: storage.client, bucket: storage.bucket, prefix: PREFIX }),
    list: async () => {
      const { client, bucket: Bucket } = storage;
      const { Contents: objects = [] } = await client.send(new ListObjectsV2Command({ Bucket }));
      const { Uploads: uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket }));
      return [...objects, ...uploads].flatMap(({ Key }) => Key ?? []);
    },
    overwrite: (id, Body) =>
      storage.client.send(new PutObjectCommand({ Bucket: storage.bucket, Key: `${PREFIX}${id}.tar`, Body })),
    leaveAttempt: (id) =>
      storage.client.send(new CreateMultipartUploadCommand({ Bucket: storage.bucket, Key: `${PREFIX}${id}.tar` })),
  },
};

/** An archive that comes in pieces. */
function archiveOf(content: Buffer, breakAt = Number.POSITIVE_INFINITY): Readable {
  async function* pieces(): AsyncGenerator<Buffer> {
    for (let from = 0; from < content.length; from += 100_000) {
      if (from >= breakAt) throw new Error('the daemon has gone');
      yield content.subarray(from, from + 100_000);
    }
  }
  return Readable.from(pieces());
}

const sha256Of = (content: Buffer): string => createHash('sha256').update(content).digest('hex');

describe.each(Object.keys(PLACES))('snapshots in a %s', { timeout: 120_000 }, (kind) => {
  const place = PLACES[kind] as Place;

  it('come back as they were, small ones and those of many parts', async () => {
    for (const size of [1024, 40 * MIB + 17]) {
      const content = randomBytes(size);
      let seen = 0;
      const store = place.store();
      const written = await store.write(`of-${size}`, archiveOf(content), (bytes) => {
        seen = bytes;
      });
      expect(written).toEqual({ sizeBytes: size, sha256: sha256Of(content) });
      expect(seen).toBe(size);
      expect((await buffer(await store.openChecked(`of-${size}`, written))).equals(content)).toBe(true);
      await store.remove(`of-${size}`);
    }
    expect(await place.list()).toEqual([]);
  });

  it('are refused when they are another, shorter, or none', async () => {
    const store = place.store();
    const content = randomBytes(3000);
    const written = await store.write('changed', archiveOf(content), () => undefined);
    for (const other of [randomBytes(3000), content.subarray(1)]) {
      await place.overwrite('changed', other);
      await expect(store.openChecked('changed', written)).rejects.toMatchObject({
        code: 'SNAPSHOT_DAMAGED',
        message: expect.stringContaining('is not what was written'),
      });
    }
    await store.remove('changed');
    await store.remove('changed');
    const none = store.openChecked('changed', written);
    await expect(none).rejects.toMatchObject({
      code: 'SNAPSHOT_DAMAGED',
      message: expect.stringContaining('not there'),
    });
  });

  it('are whole or not there: what breaks off leaves nothing, and a second attempt takes the place of a first', async () => {
    const store = place.store();
    const content = randomBytes(20 * MIB);
    const broken = store.write('broken', archiveOf(content, 18 * MIB), () => undefined);
    await expect(broken).rejects.toThrow('the daemon has gone');
    expect(await place.list()).toEqual([]);
    await place.leaveAttempt('again');
    await store.write('again', archiveOf(content), () => undefined);
    const written = await store.write('again', archiveOf(content.subarray(5)), () => undefined);
    expect((await buffer(await store.openChecked('again', written))).length).toBe(content.length - 5);
    expect(await place.list()).toHaveLength(1);
    await place.leaveAttempt('again');
    await store.remove('again');
    expect(await place.list()).toEqual([]);
  });
});

describe('an object storage that does not do it', () => {
  const write = async (changes: Parameters<typeof clientOf>[1] & { bucket?: string }) => {
    const { bucket = storage.bucket, ...rest } = changes;
    const client = clientOf(storage, rest);
    const store = createSnapshotObjects({ client, bucket, prefix: PREFIX });
    const archive = archiveOf(randomBytes(1000));
    return await store.write('refused', archive, () => undefined).catch((error: unknown) => error);
  };

  it('because of how it is configured is told as that, without the key', async () => {
    for (const changes of [{ secretAccessKey: 'wrong-secret-key' }, { bucket: 'no-such-bucket' }]) {
      const error = await write(changes);
      expect(error).toMatchObject({ code: 'CONFIGURATION', hint: expect.stringContaining('SNAPSHOT_S3_') });
      const said = JSON.stringify(error, Object.getOwnPropertyNames(error)) + String((error as Error).stack);
      expect(said).not.toContain('wrong-secret-key');
      expect(said).not.toContain(storage.secretAccessKey);
    }
  });

  it('because it cannot be reached may do it later', async () => {
    const error = await write({ endpoint: `http://127.0.0.1:${await freePort()}` });
    expect(error).toMatchObject({
      code: 'OBJECT_STORAGE_UNAVAILABLE',
      message: expect.stringContaining('ECONNREFUSED'),
    });
  });
});
