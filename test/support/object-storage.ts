import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ListBucketsCommand, type S3Client } from '@aws-sdk/client-s3';
import { createObjectClient } from '../../adapters/object-storage/client.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';
import { programPath } from './program-path.ts';

/** A real object storage of this test run: an S3 gateway over a folder. */
export interface TestObjectStorage {
  readonly endpoint: string;
  readonly bucket: string;
  readonly accessKeyId: string;
  /** A canary as well. */
  readonly secretAccessKey: string;
  readonly client: S3Client;
  remove(): Promise<void>;
}

/** A client as a node has it, but for one that tries again. */
export function clientOf(
  { endpoint, accessKeyId, secretAccessKey }: Pick<TestObjectStorage, 'endpoint' | 'accessKeyId' | 'secretAccessKey'>,
  changes: { endpoint?: string; secretAccessKey?: string } = {},
): S3Client {
  const storage = { endpoint, region: 'us-east-1', accessKeyId, secretAccessKey, attempts: 1 };
  return createObjectClient({ ...storage, ...changes });
}

/** Starts it with one bucket. */
export async function startTestObjectStorage(): Promise<TestObjectStorage> {
  const root = await mkdtemp(join(tmpdir(), 'obiente-objects-'));
  const port = await freePort();
  const bucket = 'snapshots';
  await mkdir(join(root, 'buckets', bucket), { recursive: true });
  const accessKeyId = 'test-access-key';
  const secretAccessKey = `canary-object-storage-${randomBytes(8).toString('hex')}`;
  const env = { PATH: process.env.PATH, ROOT_ACCESS_KEY: accessKeyId, ROOT_SECRET_KEY: secretAccessKey };
  const sidecar = join(root, 'entity-tags');
  await mkdir(sidecar);
  const args = ['--port', `127.0.0.1:${port}`, '--quiet', 'posix', '--sidecar', sidecar, join(root, 'buckets')];
  const server: ChildProcess = spawn(await programPath('versitygw'), args, { env, stdio: 'ignore' });
  const place = { endpoint: `http://127.0.0.1:${port}`, accessKeyId, secretAccessKey };
  const client = clientOf(place);
  const remove = async (): Promise<void> => {
    client.destroy();
    if (server.exitCode === null && server.signalCode === null) {
      const exit = new Promise((resolve) => server.once('exit', resolve));
      server.kill('SIGKILL');
      await exit;
    }
    await rm(root, { recursive: true, force: true });
  };
  try {
    await eventually(() => client.send(new ListBucketsCommand({})));
  } catch (error) {
    await remove();
    throw error;
  }
  return { ...place, bucket, client, remove };
}
