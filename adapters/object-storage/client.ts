import { S3Client } from '@aws-sdk/client-s3';

/** An object storage, and who asks. */
export interface ObjectStorage {
  /** `undefined` for Amazon's own. */
  readonly endpoint: string | undefined;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** How often a request is made in all that the storage does not answer. Default 3. */
  readonly attempts?: number;
}

/** A connection that says nothing for so long is given up, and the request made again. */
const SILENCE_MS = 120_000;

/** Creates a client; it connects at its first request. */
export function createObjectClient({ endpoint, region, attempts = 3, ...credentials }: ObjectStorage): S3Client {
  return new S3Client({
    region,
    credentials,
    maxAttempts: attempts,
    // Others than Amazon's own know a bucket by its path, and few of them all checksums.
    ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
    ...{ requestChecksumCalculation: 'WHEN_REQUIRED', responseChecksumValidation: 'WHEN_REQUIRED' },
    requestHandler: { connectionTimeout: 5_000, socketTimeout: SILENCE_MS },
  });
}
