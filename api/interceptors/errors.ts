import { randomUUID } from 'node:crypto';
import { Code, ConnectError, type Interceptor } from '@connectrpc/connect';
import type { Log } from '../../adapters/logging/log.ts';
import { type DomainError, type ErrorCode, isDomainError } from '../../domain/errors.ts';
import { ErrorDetailSchema } from '../../gen/obiente/cloud/v1/resources_pb.ts';

/** What each code is on the wire. Total on purpose: a new code compiles only when this question is answered. */
export const CONNECT_CODE: Record<ErrorCode, Code> = {
  INVALID_ARGUMENT: Code.InvalidArgument,
  NOT_FOUND: Code.NotFound,
  NAME_TAKEN: Code.AlreadyExists,
  IDEMPOTENCY_CONFLICT: Code.AlreadyExists,
  UNAUTHENTICATED: Code.Unauthenticated,
  PERMISSION_DENIED: Code.PermissionDenied,
  PROJECT_NOT_EMPTY: Code.FailedPrecondition,
  DEPLOYMENT_DELETED: Code.FailedPrecondition,
  NOT_DEPLOYED: Code.FailedPrecondition,
  OPERATION_ENDED: Code.FailedPrecondition,
  PAYLOAD_TOO_LARGE: Code.ResourceExhausted,
  INSUFFICIENT_CAPACITY: Code.ResourceExhausted,
  NO_NODE_READY: Code.FailedPrecondition,
  NODE_UNAVAILABLE: Code.Unavailable,
  NODE_DEGRADED: Code.FailedPrecondition,
  NODE_LEASE_LOST: Code.Unavailable,
  IMAGE_UNAVAILABLE: Code.FailedPrecondition,
  SOURCE_UNAVAILABLE: Code.Unavailable,
  SOURCE_REFUSED: Code.FailedPrecondition,
  BUILD_FAILED: Code.FailedPrecondition,
  REPLICA_UNHEALTHY: Code.FailedPrecondition,
  REPLICA_EXITED: Code.FailedPrecondition,
  REPLICA_CONFLICT: Code.Aborted,
  VOLUME_IN_USE: Code.Unavailable,
  STILL_USED: Code.FailedPrecondition,
  SNAPSHOT_DAMAGED: Code.DataLoss,
  OBJECT_STORAGE_UNAVAILABLE: Code.Unavailable,
  INGRESS_UNCONFIRMED: Code.Unavailable,
  CANARY_REFUSED: Code.FailedPrecondition,
  DOCKER_UNAVAILABLE: Code.Unavailable,
  DATABASE_UNAVAILABLE: Code.Unavailable,
  WORKFLOWS_UNAVAILABLE: Code.Unavailable,
  STREAMER_UNAVAILABLE: Code.Unavailable,
  SUBSCRIBER_TOO_SLOW: Code.ResourceExhausted,
  DELIVERY_FAILED: Code.Unavailable,
  DELIVERY_REFUSED: Code.FailedPrecondition,
  CANCELLED: Code.Canceled,
  CONFIGURATION: Code.Internal,
  INTERNAL: Code.Internal,
};

/** Turns everything that a handler throws into what a caller may see; see {@link toConnectError}. */
export function createErrorInterceptor(log: Log): Interceptor {
  return (next) => async (request) => {
    const method = `${request.service.typeName}/${request.method.name}`;
    const toWire = (error: unknown) => toConnectError(error, { log, method, signal: request.signal });
    try {
      const response = await next(request);
      return response.stream ? { ...response, message: translated(response.message, toWire) } : response;
    } catch (error) {
      throw toWire(error);
    }
  };
}

async function* translated<Message>(messages: AsyncIterable<Message>, toWire: (error: unknown) => ConnectError) {
  try {
    yield* messages;
  } catch (error) {
    throw toWire(error);
  }
}

/**
 * Maps an error to the wire: this platform's own with code, field and hint; an unknown one as "internal error" with the
 * id under which the log has it. Refusals of the transport itself, and a call that its caller ended, pass as they are.
 */
export function toConnectError(
  error: unknown,
  { log, method, signal }: { log: Log; method: string; signal: AbortSignal },
): ConnectError {
  if (error instanceof ConnectError) return error;
  if (signal.aborted && (error === signal.reason || isAbort(error)))
    return ConnectError.from(signal.reason, Code.Canceled);
  if (isDomainError(error) && CONNECT_CODE[error.code] !== Code.Internal) return fromDomainError(error);
  const incidentId = randomUUID();
  log.error({ err: error, incidentId, method }, 'internal error');
  const detail = { code: 'INTERNAL', incidentId, hint: 'Give the incident id to the operator of this platform.' };
  return new ConnectError('internal error', Code.Internal, undefined, [{ desc: ErrorDetailSchema, value: detail }]);
}

function fromDomainError(error: DomainError): ConnectError {
  const value = { code: error.code, field: error.field ?? '', hint: error.hint ?? '' };
  const metadata = error.code === 'UNAUTHENTICATED' ? { 'www-authenticate': 'Bearer' } : undefined;
  const details = [{ desc: ErrorDetailSchema, value }];
  return new ConnectError(error.message, CONNECT_CODE[error.code], metadata, details, error.cause);
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}
