import { createHash, timingSafeEqual } from 'node:crypto';
import { type ContextValues, createContextKey, type Interceptor } from '@connectrpc/connect';
import { readBearerToken } from '../../adapters/tokens/bearer.ts';
import type { NodeTokenVerifier } from '../../adapters/tokens/node-token.ts';
import { DomainError } from '../../domain/errors.ts';
import { leaseLost } from '../../domain/node-lease.ts';

/** The process of a node that makes a call of the internal service. */
export interface CallingNode {
  readonly nodeId: string;
  /** Under which it says to have the node's lease. */
  readonly epoch: number;
}

/** Where the calling node stands in a call's context. */
export const nodeKey = createContextKey<CallingNode | undefined>(undefined, { description: 'calling node' });

/** Calls that a node makes before it has proven a key: they carry a join token, which their handler checks. */
const BEFORE_ENROLMENT = new Set([
  'obiente.internal.v1.ControlService/EnrolNode',
  'obiente.internal.v1.ControlService/JoinNode',
]);

/** Calls about the lease itself, which say by themselves what they find. */
const ABOUT_LEASE = new Set([
  'obiente.internal.v1.ControlService/Heartbeat',
  'obiente.internal.v1.ControlService/ReleaseLease',
]);

/** What the authorisation of nodes asks. */
export interface NodeAuthOptions {
  readonly verifier: NodeTokenVerifier;
  /** Whether a node's process has its lease. */
  holdsLease(process: CallingNode): Promise<boolean>;
}

/**
 * Creates the interceptor of the internal service: every call but the enrolment carries a token that the calling node
 * signed, and the handler learns from it alone which node calls. A process that does not have its node's lease is heard
 * in nothing but about the lease; what is written under it is checked once more where it is written.
 */
export function createNodeAuthInterceptor({ verifier, holdsLease }: NodeAuthOptions): Interceptor {
  return (next) => async (request) => {
    const rpc = `${request.method.parent.typeName}/${request.method.name}`;
    if (!BEFORE_ENROLMENT.has(rpc)) {
      const process = await verifier.verify(readBearerToken(request.header));
      if (!ABOUT_LEASE.has(rpc) && !(await holdsLease(process))) throw leaseLost(`node ${process.nodeId}`);
      request.contextValues.set(nodeKey, process);
    }
    return await next(request);
  };
}

/**
 * The node that makes this call.
 *
 * @throws INTERNAL when the interceptor was left out, so that no handler runs for nobody.
 */
export function getCallingNode(context: { readonly values: ContextValues }): CallingNode {
  const node = context.values.get(nodeKey);
  if (!node) throw new DomainError('INTERNAL', 'the call was not authorised');
  return node;
}

/** Says whether an enrolment is signed by a node that has joined, which has no join token any more. */
export type AdmissionCheck = (headers: Headers, nodeId: string) => Promise<void>;

/**
 * Creates the check of enrolments without a join token.
 *
 * @param verifier of the keys that were admitted. @returns a function that throws UNAUTHENTICATED for any other signer.
 */
export function createAdmissionCheck(verifier: NodeTokenVerifier): AdmissionCheck {
  return async (headers, nodeId) => {
    const { nodeId: signer } = await verifier.verify(readBearerToken(headers));
    if (signer !== nodeId)
      throw new DomainError('UNAUTHENTICATED', `node refused: ${signer} cannot enrol another node`);
  };
}

/**
 * Creates the check of join tokens; it takes equally long for every wrong one.
 *
 * @returns a function that throws UNAUTHENTICATED for any token but the given one.
 */
export function createJoinTokenCheck(joinToken: string): (presented: string) => void {
  const expected = digest(joinToken);
  return (presented) => {
    if (timingSafeEqual(digest(presented), expected)) return;
    throw new DomainError('UNAUTHENTICATED', 'node refused: its join token is not valid', {
      hint: 'Copy the join token file of the control plane to the node.',
    });
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
