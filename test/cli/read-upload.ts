import { createHash } from 'node:crypto';
import type { UploadContextRequest } from '../../gen/obiente/cloud/v1/sources_pb.ts';

/** Reads an upload to its end, and says what arrived. */
export async function readUpload(requests: AsyncIterable<UploadContextRequest>) {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const { part } of requests) {
    if (part.case !== 'chunk') continue;
    hash.update(part.value);
    bytes += part.value.length;
  }
  return { contextSha256: hash.digest('hex'), sizeBytes: BigInt(bytes), entries: 1 };
}
