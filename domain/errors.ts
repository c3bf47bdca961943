/**
 * Every way in which this platform refuses or fails, by a stable code.
 *
 * Codes are part of the public contract (`ErrorDetail.code`): they are added, never renamed.
 */
export type ErrorCode =
  | 'INVALID_ARGUMENT'
  | 'NOT_FOUND'
  | 'NAME_TAKEN'
  | 'IDEMPOTENCY_CONFLICT'
  | 'UNAUTHENTICATED'
  | 'PERMISSION_DENIED'
  | 'PROJECT_NOT_EMPTY'
  | 'DEPLOYMENT_DELETED'
  | 'NOT_DEPLOYED'
  | 'OPERATION_ENDED'
  | 'PAYLOAD_TOO_LARGE'
  | 'INSUFFICIENT_CAPACITY'
  | 'NO_NODE_READY'
  | 'NODE_UNAVAILABLE'
  | 'NODE_DEGRADED'
  | 'NODE_LEASE_LOST'
  | 'IMAGE_UNAVAILABLE'
  | 'SOURCE_UNAVAILABLE'
  | 'SOURCE_REFUSED'
  | 'BUILD_FAILED'
  | 'REPLICA_UNHEALTHY'
  | 'REPLICA_EXITED'
  | 'REPLICA_CONFLICT'
  | 'VOLUME_IN_USE'
  | 'STILL_USED'
  | 'SNAPSHOT_DAMAGED'
  | 'OBJECT_STORAGE_UNAVAILABLE'
  | 'INGRESS_UNCONFIRMED'
  | 'CANARY_REFUSED'
  | 'DOCKER_UNAVAILABLE'
  | 'DATABASE_UNAVAILABLE'
  | 'WORKFLOWS_UNAVAILABLE'
  | 'STREAMER_UNAVAILABLE'
  | 'SUBSCRIBER_TOO_SLOW'
  | 'DELIVERY_FAILED'
  | 'DELIVERY_REFUSED'
  | 'CANCELLED'
  | 'CONFIGURATION'
  | 'INTERNAL';

/**
 * Whether trying the same again may succeed. Final is what no retry can change.
 *
 * Total on purpose: a new code compiles only when this question is answered.
 */
export const RETRYABLE: Record<ErrorCode, boolean> = {
  INVALID_ARGUMENT: false,
  NOT_FOUND: false,
  NAME_TAKEN: false,
  IDEMPOTENCY_CONFLICT: false,
  UNAUTHENTICATED: false,
  PERMISSION_DENIED: false,
  PROJECT_NOT_EMPTY: false,
  DEPLOYMENT_DELETED: false,
  NOT_DEPLOYED: false,
  OPERATION_ENDED: false,
  PAYLOAD_TOO_LARGE: false,
  INSUFFICIENT_CAPACITY: false,
  NO_NODE_READY: false,
  NODE_UNAVAILABLE: true,
  NODE_DEGRADED: false,
  NODE_LEASE_LOST: true,
  IMAGE_UNAVAILABLE: false,
  SOURCE_UNAVAILABLE: true,
  SOURCE_REFUSED: false,
  BUILD_FAILED: false,
  REPLICA_UNHEALTHY: false,
  REPLICA_EXITED: false,
  REPLICA_CONFLICT: false,
  VOLUME_IN_USE: true,
  STILL_USED: false,
  SNAPSHOT_DAMAGED: false,
  OBJECT_STORAGE_UNAVAILABLE: true,
  INGRESS_UNCONFIRMED: true,
  CANARY_REFUSED: false,
  DOCKER_UNAVAILABLE: true,
  DATABASE_UNAVAILABLE: true,
  WORKFLOWS_UNAVAILABLE: true,
  STREAMER_UNAVAILABLE: true,
  SUBSCRIBER_TOO_SLOW: false,
  DELIVERY_FAILED: true,
  DELIVERY_REFUSED: false,
  CANCELLED: false,
  CONFIGURATION: false,
  INTERNAL: true,
};

/** What an error says beside its message; goes to the caller, so it holds no secrets. */
export interface ErrorDetails {
  /** Path of proto names of the field at fault, for example `spec.port`. */
  readonly field?: string;
  /** One imperative sentence: what to do. */
  readonly hint?: string;
  /** Whether it may pass by itself: nothing is wrong with what was asked for. Default `false`. */
  readonly mayPass?: boolean;
  /** The error underneath, for the log only. */
  readonly cause?: unknown;
}

/**
 * The one error class of this code base.
 *
 * The message says what was tried, on what, what was found and what is allowed: lower case, no full stop, no secrets,
 * units on numbers.
 */
export class DomainError extends Error {
  override readonly name = 'DomainError';
  readonly code: ErrorCode;
  readonly field: string | undefined;
  readonly hint: string | undefined;
  readonly mayPass: boolean;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? {} : { cause: details.cause });
    this.code = code;
    this.field = details.field;
    this.hint = details.hint;
    this.mayPass = details.mayPass ?? false;
  }
}

/** Refuses a field: what was found, and what is allowed. */
export function invalidArgument(field: string, finding: string, allowed: string): DomainError {
  return new DomainError('INVALID_ARGUMENT', `${field}: ${finding}; allowed is ${allowed}`, { field });
}

/** Says that something does not exist, in the same words whether it never did or belongs to somebody else. */
export function notFound(resource: string): DomainError {
  return new DomainError('NOT_FOUND', `${resource} not found`);
}

/** Tells this platform's own errors from everything else. */
export function isDomainError(error: unknown): error is DomainError {
  return error instanceof DomainError;
}

/** Reads an error code from outside; `undefined` for anything that is not one. */
export function toErrorCode(value: unknown): ErrorCode | undefined {
  return typeof value === 'string' && Object.hasOwn(RETRYABLE, value) ? (value as ErrorCode) : undefined;
}
