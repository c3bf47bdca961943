import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import type { SnapshotContent } from '../../contracts/volumes.ts';
import { damagedSnapshot, type SnapshotStore } from '../files/snapshot-files.ts';
import { isMissing, toStorageError } from './storage-errors.ts';

/** Where the snapshots are. */
export interface SnapshotBucket {
  readonly client: S3Client;
  readonly bucket: string;
  /** What their keys begin with. */
  readonly prefix: string;
}

/** An upload has at most 10,000 parts, so a snapshot at most 156 GiB; two of them are in memory at a time. */
const PART_BYTES = 16 * 1024 * 1024;
const PARTS_AT_A_TIME = 2;

/** Opens the snapshots of a bucket, one object each. Nothing is asked of it before the first one. */
export function createSnapshotObjects(place: SnapshotBucket): SnapshotStore {
  const { client, bucket: Bucket, prefix } = place;
  const keyOf = (snapshotId: string): string => `${prefix}${snapshotId}.tar`;

  const open = async (snapshotId: string, expected?: string): Promise<{ body: Readable; etag: string | undefined }> => {
    const wanted = { Bucket, Key: keyOf(snapshotId), ...(expected === undefined ? {} : { IfMatch: expected }) };
    try {
      const { Body: body, ETag: etag } = await client.send(new GetObjectCommand(wanted));
      if (body instanceof Readable) return { body, etag };
      throw new Error('the object has no content');
    } catch (error) {
      if (isMissing(error)) throw damagedSnapshot(snapshotId, 'its object is not there, or another one is');
      throw toStorageError(`read snapshot ${snapshotId}`, error);
    }
  };

  return {
    write: async (snapshotId, archive, onBytes) => {
      const Key = keyOf(snapshotId);
      await endUploads(place, Key);
      const measured = measure(archive, onBytes);
      const params = { Bucket, Key, Body: Readable.from(measured.chunks()) };
      const upload = new Upload({ client, params, partSize: PART_BYTES, queueSize: PARTS_AT_A_TIME });
      try {
        await upload.done();
      } catch (error) {
        archive.destroy();
        throw toStorageError(`write snapshot ${snapshotId}`, error);
      }
      return measured.content();
    },
    openChecked: async (snapshotId, content) => {
      const { body, etag } = await open(snapshotId);
      const found = measure(body);
      try {
        for await (const _ of found.chunks());
      } catch (error) {
        throw toStorageError(`read snapshot ${snapshotId}`, error);
      }
      const { sizeBytes, sha256 } = found.content();
      const isSame = sizeBytes === content.sizeBytes && sha256 === content.sha256;
      if (!isSame) throw damagedSnapshot(snapshotId, 'its object is not what was written');
      // Read a second time in place of being kept: the same object, or none.
      return (await open(snapshotId, etag)).body;
    },
    remove: async (snapshotId) => {
      const Key = keyOf(snapshotId);
      await endUploads(place, Key);
      try {
        await client.send(new DeleteObjectCommand({ Bucket, Key }));
      } catch (error) {
        if (!isMissing(error)) throw toStorageError(`remove snapshot ${snapshotId}`, error);
      }
    },
  };
}

/** Passes an archive on, and remembers what went by. */
function measure(archive: Readable, onBytes: (bytes: number) => void = () => undefined) {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  async function* chunks(): AsyncGenerator<Buffer> {
    for await (const chunk of archive as AsyncIterable<Buffer>) {
      hash.update(chunk);
      sizeBytes += chunk.length;
      onBytes(sizeBytes);
      yield chunk;
    }
  }
  return { chunks, content: (): SnapshotContent => ({ sizeBytes, sha256: hash.digest('hex') }) };
}

/** Ends what attempts that were killed have begun to upload: it is paid for, and in no list of objects. */
async function endUploads({ client, bucket: Bucket }: SnapshotBucket, Key: string): Promise<void> {
  try {
    const { Uploads: uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket, Prefix: Key }));
    for (const { Key: key, UploadId } of uploads) {
      if (key === Key) await client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
    }
  } catch (error) {
    if (!isMissing(error)) throw toStorageError(`end earlier uploads of ${Key}`, error);
  }
}
