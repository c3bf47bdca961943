import { S3ServiceException } from '@aws-sdk/client-s3';
import { DomainError } from '../../domain/errors.ts';

/** What no further attempt can change: whoever runs the node has to. */
const REFUSALS = new Set([
  ...['NoSuchBucket', 'AccessDenied', 'Forbidden', 'InvalidAccessKeyId', 'SignatureDoesNotMatch'],
  ...['AuthorizationHeaderMalformed', 'PermanentRedirect', 'InvalidBucketName'],
]);

/** What the client itself says when there was no answer. */
const UNREACHABLE = /^(?:ECONN\w+|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EPIPE|EHOSTUNREACH|ENETUNREACH)$/;

/** Whether the storage says that there is no such object, or that another one has taken its place. */
export function isMissing(error: unknown): boolean {
  if (!(error instanceof S3ServiceException) || error.name === 'NoSuchBucket') return false;
  return error.$metadata.httpStatusCode === 404 || error.$metadata.httpStatusCode === 412;
}

/**
 * Turns what the object storage, or the way to it, failed of into this platform's own errors; everything else stays as
 * it is. Only the name and the words of an answer are kept: its request was signed with the secret key.
 */
export function toStorageError(what: string, error: unknown): unknown {
  if (error instanceof DomainError || !(error instanceof Error)) return error;
  const { code } = error as NodeJS.ErrnoException;
  const isService = error instanceof S3ServiceException;
  const isUnreachable = (code !== undefined && UNREACHABLE.test(code)) || error.name === 'TimeoutError';
  if (!isService && !isUnreachable) return error;
  const said = isService ? `${error.name}: ${error.message}` : (code ?? error.name);
  const cause = new Error(said);
  if (isService && REFUSALS.has(error.name)) {
    return new DomainError('CONFIGURATION', `cannot ${what}: the object storage answers ${said}`, {
      hint: 'Check SNAPSHOT_S3_BUCKET, SNAPSHOT_S3_ENDPOINT, SNAPSHOT_S3_REGION and the key of that node.',
      cause,
    });
  }
  return new DomainError('OBJECT_STORAGE_UNAVAILABLE', `cannot ${what}: the object storage answers ${said}`, {
    hint: 'Check that this node reaches SNAPSHOT_S3_ENDPOINT.',
    cause,
  });
}
