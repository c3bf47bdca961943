import { Code, ConnectError } from '@connectrpc/connect';
import { DomainError, type ErrorCode, isDomainError } from '../domain/errors.ts';
import { ErrorDetailSchema } from '../gen/obiente/cloud/v1/resources_pb.ts';

/** What the command ends with. Scripts rely on these numbers: they are added, never changed. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  refused: 3,
  notFound: 4,
  denied: 5,
  unavailable: 69,
  stillRunning: 75,
  interrupted: 130,
} as const;

/** How an error is shown, and what the process ends with. */
export interface Failure {
  readonly exitCode: number;
  readonly code: string;
  readonly message: string;
  readonly field?: string;
  readonly hint?: string;
  readonly incidentId?: string;
}

/** An operation that was accepted and then failed: what it did is undone, the call itself was right. */
export class OperationFailed extends Error {
  override readonly name = 'OperationFailed';
  readonly code: string;
  readonly hint: string;
  /** What the application printed last; empty when nothing could be read. */
  readonly lastLines: readonly string[];

  constructor(failure: { code: string; message: string; hint: string; lastLines: readonly string[] }) {
    super(failure.message);
    this.code = failure.code;
    this.hint = failure.hint;
    this.lastLines = failure.lastLines;
  }
}

/** Waiting ended before the operation did; the operation goes on. */
export class StillRunning extends Error {
  override readonly name = 'StillRunning';
  readonly exitCode: number;
  readonly hint: string;

  constructor(deployment: string, exitCode: number) {
    super(`${deployment}: still running, only the waiting has ended`);
    this.exitCode = exitCode;
    this.hint = `Run "obiente status ${deployment}" to see how it goes on.`;
  }
}

/** Ends a command with 1 after its result, which says what is wrong, was written. */
export class AlreadyShown extends Error {
  override readonly name = 'AlreadyShown';
}

const EXIT_OF_CODE: Partial<Record<ErrorCode, number>> = {
  NOT_FOUND: EXIT.notFound,
  UNAUTHENTICATED: EXIT.denied,
  PERMISSION_DENIED: EXIT.denied,
  NODE_UNAVAILABLE: EXIT.unavailable,
  SOURCE_UNAVAILABLE: EXIT.unavailable,
  DATABASE_UNAVAILABLE: EXIT.unavailable,
  WORKFLOWS_UNAVAILABLE: EXIT.unavailable,
  STREAMER_UNAVAILABLE: EXIT.unavailable,
  DELIVERY_FAILED: EXIT.unavailable,
  INTERNAL: EXIT.failed,
};

const EXIT_OF_CONNECT: Partial<Record<Code, number>> = {
  [Code.Canceled]: EXIT.interrupted,
  [Code.NotFound]: EXIT.notFound,
  [Code.Unauthenticated]: EXIT.denied,
  [Code.PermissionDenied]: EXIT.denied,
  [Code.Unavailable]: EXIT.unavailable,
  [Code.DeadlineExceeded]: EXIT.unavailable,
  [Code.Internal]: EXIT.failed,
  [Code.Unknown]: EXIT.failed,
  [Code.DataLoss]: EXIT.failed,
};

/** Turns whatever was thrown into what a person reads and the exit code that goes with it. */
export function toFailure(error: unknown): Failure {
  if (error instanceof OperationFailed) return { exitCode: EXIT.failed, ...pick(error) };
  if (error instanceof StillRunning) {
    return { exitCode: error.exitCode, code: 'STILL_RUNNING', message: error.message, hint: error.hint };
  }
  if (isDomainError(error)) return fromDomainError(error);
  if (error instanceof ConnectError) return fromConnectError(error);
  if (isAbort(error)) return { exitCode: EXIT.interrupted, code: 'CANCELLED', message: 'interrupted' };
  return { exitCode: EXIT.failed, code: 'INTERNAL', message: error instanceof Error ? error.message : String(error) };
}

/** Whether the wait was ended by its own signal. */
export function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError');
}

function pick(failure: { code: string; message: string; hint: string }): Omit<Failure, 'exitCode'> {
  const { code, message, hint } = failure;
  return hint === '' ? { code, message } : { code, message, hint };
}

function fromDomainError(error: DomainError): Failure {
  return {
    exitCode: EXIT_OF_CODE[error.code] ?? EXIT.refused,
    code: error.code,
    message: error.message,
    ...(error.field === undefined ? {} : { field: error.field }),
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  };
}

function fromConnectError(error: ConnectError): Failure {
  const [detail] = error.findDetails(ErrorDetailSchema);
  const code = detail?.code || Code[error.code].replace(/(?<!^)[A-Z]/g, '_$&').toUpperCase();
  const hint = detail?.hint || hintFor(error.code);
  return {
    exitCode: EXIT_OF_CONNECT[error.code] ?? EXIT.refused,
    code,
    message: error.rawMessage,
    ...(detail?.field ? { field: detail.field } : {}),
    ...(hint ? { hint } : {}),
    ...(detail?.incidentId ? { incidentId: detail.incidentId } : {}),
  };
}

function hintFor(code: Code): string {
  if (code === Code.Unauthenticated) return 'Run "obiente login".';
  if (code === Code.Unavailable) return 'Start the platform with "npm start", or look at "obiente doctor".';
  return '';
}

/** Refuses what was typed, in the words of the option or file at fault. */
export function refuse(field: string, message: string, hint?: string): DomainError {
  return new DomainError('INVALID_ARGUMENT', `${field}: ${message}`, {
    field,
    ...(hint === undefined ? {} : { hint }),
  });
}
