import type { Message } from '@bufbuild/protobuf';
import type { Interceptor, StreamRequest, UnaryRequest } from '@connectrpc/connect';
import type { AccessTokenVerifier } from '../../adapters/tokens/access-token-verifier.ts';
import { readBearerToken } from '../../adapters/tokens/bearer.ts';
import { PERMISSIONS } from '../../domain/permissions.ts';
import { isAllowed } from '../../domain/roles.ts';
import { type Authorized, authorize, type IdentityStore } from './authorization.ts';
import { callerKey } from './caller.ts';
import { createStreamGuard, type StreamGuard } from './stream-guard.ts';
import { createUserCache } from './user-cache.ts';

/** Three questions fit into the 60 s after which a stream whose membership is gone must have ended. */
const RECHECK_MS = 20_000;
const UNANSWERED_MS = 55_000;

/** What the interceptor needs of the world. */
export interface AuthDeps {
  readonly verifier: AccessTokenVerifier;
  readonly store: IdentityStore;
  /** Subjects of the operators of the platform. Default nobody. */
  readonly operators?: ReadonlySet<string>;
  /** Time between two checks of a stream's caller, milliseconds. Default 20 s. */
  readonly recheckMs?: number;
  readonly now?: () => Date;
}

/**
 * Creates the interceptor of the public API: bearer token → user → the resource's own organization → role → permission.
 *
 * It puts the caller where `getCaller` finds it. The first message of a stream decides; a stream that goes on for
 * longer than its token or its caller's membership ends with UNAUTHENTICATED.
 */
export function createAuthInterceptor(deps: AuthDeps): Interceptor {
  const { verifier, store, operators = new Set(), recheckMs = RECHECK_MS, now = () => new Date() } = deps;
  const findUser = createUserCache(store, now);

  async function authorizeCall(
    request: UnaryRequest | StreamRequest,
    message: Message | undefined,
  ): Promise<Authorized> {
    const token = await verifier.verify(readBearerToken(request.header));
    const rpc = `${request.method.parent.typeName}/${request.method.name}`;
    const policy = Object.hasOwn(PERMISSIONS, rpc) ? PERMISSIONS[rpc] : undefined;
    const userId = await findUser(token);
    const isOperator = operators.has(token.subject);
    const what = { rpc, policy, schema: request.method.input, message };
    const authorized = await authorize(store, { ...what, token, userId, isOperator });
    request.contextValues.set(callerKey, authorized.caller);
    return authorized;
  }

  function guardOf({ caller, permission }: Authorized, signal: AbortSignal): StreamGuard {
    const { userId, organizationId, expiresAt } = caller;
    const isStillAllowed = async () => {
      if (organizationId === null || permission === null) return true;
      const role = await store.findRole({ userId, organizationId });
      return role !== undefined && isAllowed(role, permission);
    };
    return createStreamGuard({ expiresAt, signal, isStillAllowed, recheckMs, unansweredMs: UNANSWERED_MS, now });
  }

  return (next) => async (request) => {
    if (!request.stream) {
      await authorizeCall(request, request.message);
      return await next(request);
    }
    const { first, all } = await peek(request.message);
    const { guard } = guardOf(await authorizeCall(request, first), request.signal);
    const response = await next({ ...request, message: guard(all) });
    return response.stream ? { ...response, message: guard(response.message) } : response;
  };
}

/** Takes the first message of a stream, which `all` still begins with. */
async function peek<Item>(
  messages: AsyncIterable<Item>,
): Promise<{ first: Item | undefined; all: AsyncIterable<Item> }> {
  const iterator = messages[Symbol.asyncIterator]();
  const step = await iterator.next();
  async function* all(): AsyncIterable<Item> {
    if (step.done) return;
    yield step.value;
    yield* { [Symbol.asyncIterator]: () => iterator };
  }
  return { first: step.done ? undefined : step.value, all: all() };
}
