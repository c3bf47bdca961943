import { join } from 'node:path';
import { createSnapshotFiles, type SnapshotStore } from '../../adapters/files/snapshot-files.ts';
import { readSecretFile } from '../../adapters/sealing/secret-file.ts';
import type { NodeConfig } from '../../config/node.ts';
import { DomainError } from '../../domain/errors.ts';

/** Opens where this node keeps its snapshots: a bucket, when one is configured, or a folder. @throws CONFIGURATION */
export async function openSnapshotStore(config: NodeConfig): Promise<SnapshotStore> {
  const { SNAPSHOT_S3_BUCKET: bucket, SNAPSHOT_S3_ENDPOINT: endpoint, SNAPSHOT_S3_REGION: region } = config;
  if (bucket === undefined) {
    return createSnapshotFiles(config.NODE_SNAPSHOT_DIR ?? join(config.NODE_KEY_DIR, 'snapshots'));
  }
  const credentials = await readCredentials(config.SNAPSHOT_S3_CREDENTIAL_FILE);
  // Amazon's client is large, and few nodes have a bucket: the others start without it.
  const [{ createObjectClient }, { createSnapshotObjects }] = await Promise.all([
    import('../../adapters/object-storage/client.ts'),
    import('../../adapters/object-storage/snapshot-objects.ts'),
  ]);
  const client = createObjectClient({ endpoint, region, ...credentials });
  return createSnapshotObjects({ client, bucket, prefix: `${config.SNAPSHOT_S3_PREFIX}${config.OBIENTE_INSTANCE}/` });
}

async function readCredentials(file: string | undefined): Promise<{ accessKeyId: string; secretAccessKey: string }> {
  if (file === undefined) {
    throw new DomainError('CONFIGURATION', 'SNAPSHOT_S3_CREDENTIAL_FILE: is not set, and SNAPSHOT_S3_BUCKET is', {
      hint: 'Name the file that holds access-key-id:secret-access-key.',
    });
  }
  const text = await readSecretFile(file, 'SNAPSHOT_S3_CREDENTIAL_FILE');
  const colon = text.indexOf(':');
  if (colon > 0 && colon < text.length - 1 && !/\s/.test(text)) {
    return { accessKeyId: text.slice(0, colon), secretAccessKey: text.slice(colon + 1) };
  }
  throw new DomainError(
    'CONFIGURATION',
    'SNAPSHOT_S3_CREDENTIAL_FILE: must hold access-key-id:secret-access-key in one line',
  );
}
