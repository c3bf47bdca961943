import { Code, ConnectError } from '@connectrpc/connect';
import { DomainError, type ErrorCode } from '../../domain/errors.ts';
import { ErrorDetailSchema } from '../../gen/obiente/cloud/v1/resources_pb.ts';

/** Refusals that are told on; everything else means that the control plane does not answer as it should. */
const REFUSALS = new Map<Code, ErrorCode>([
  [Code.Unauthenticated, 'UNAUTHENTICATED'],
  [Code.PermissionDenied, 'PERMISSION_DENIED'],
  [Code.NotFound, 'NOT_FOUND'],
  [Code.InvalidArgument, 'INVALID_ARGUMENT'],
]);

/**
 * Says what went wrong between this node and the control plane: its refusal, or else NODE_UNAVAILABLE, which is
 * retried.
 *
 * @param what the call in words: "enrol this node".
 */
export function toControlError(what: string, cause: unknown): DomainError {
  const { code, rawMessage } = ConnectError.from(cause);
  const refusal = isLeaseLost(cause) ? 'NODE_LEASE_LOST' : REFUSALS.get(code);
  if (refusal) return new DomainError(refusal, `cannot ${what}: ${rawMessage}`, { cause });
  return new DomainError('NODE_UNAVAILABLE', `cannot ${what}: the control plane does not answer (${Code[code]})`, {
    cause,
    hint: 'Check that the API runs, and that CONTROL_URL of the node leads to it.',
  });
}

/** Refused is the process and not the call: in the words of the wire it is one that may be tried again. */
function isLeaseLost(cause: unknown): boolean {
  return ConnectError.from(cause)
    .findDetails(ErrorDetailSchema)
    .some(({ code }) => code === 'NODE_LEASE_LOST');
}

/** For work on a replica: a node that is not known at this moment enrols again, so trying again may help. */
export function toRetryableControlError(what: string, cause: unknown): DomainError {
  const error = toControlError(what, cause);
  if (error.code !== 'UNAUTHENTICATED') return error;
  return new DomainError('NODE_UNAVAILABLE', error.message, { cause, hint: 'Wait until the node has enrolled again.' });
}
