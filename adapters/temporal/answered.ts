import {
  isGrpcServiceError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { DomainError, toErrorCode } from '../../domain/errors.ts';

/** Makes a call, and turns what it fails of into this platform's own errors. */
export async function answered<Answer>(call: () => Promise<Answer>): Promise<Answer> {
  try {
    return await call();
  } catch (error) {
    throw toDomainError(error);
  }
}

/** A refusal keeps its code; a server that is away, or an answer that is late, is for the caller to try again. */
function toDomainError(error: unknown): unknown {
  if (error instanceof WorkflowUpdateFailedError) return fromFailure(error.cause) ?? error;
  const late = error instanceof WorkflowUpdateRPCTimeoutOrCancelledError;
  if (!late && !isGrpcServiceError(error) && !isGrpcServiceError((error as Error).cause)) return error;
  return new DomainError(
    'WORKFLOWS_UNAVAILABLE',
    'the request was not confirmed in time; it may still be carried out',
    {
      hint: 'Repeat the call with the same idempotency key.',
      cause: error,
    },
  );
}

function fromFailure(failure: unknown): DomainError | undefined {
  if (!(failure instanceof Error)) return undefined;
  if (!(failure instanceof ApplicationFailure)) return fromFailure(failure.cause);
  const code = toErrorCode(failure.type);
  if (!code) return undefined;
  const { hint, field } = (failure.details?.[0] ?? {}) as { hint?: string; field?: string };
  return new DomainError(code, failure.message, { ...(hint ? { hint } : {}), ...(field ? { field } : {}) });
}
