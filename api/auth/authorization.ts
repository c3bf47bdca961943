import type { DescMessage, Message } from '@bufbuild/protobuf';
import type { VerifiedToken } from '../../adapters/tokens/access-token-verifier.ts';
import { DomainError, invalidArgument, notFound } from '../../domain/errors.ts';
import type { OwnedKind, OwnedReference, RpcPolicy } from '../../domain/permissions.ts';
import { isAllowed, leastRole, type Permission, type Role } from '../../domain/roles.ts';
import type { Caller } from './caller.ts';
import { readResourceId } from './request-resource.ts';

/** What the authorisation asks of the database. Nothing of it is remembered from call to call but user ids. */
export interface IdentityStore {
  /** Finds the user of a token's subject; on the first call creates it with a personal organization. */
  ensureUser(identity: { issuer: string; subject: string; email: string }): Promise<{ userId: string }>;
  /** The organization that owns a resource; `undefined` when the resource does not exist. */
  findOrganizationOf(kind: OwnedKind, id: string): Promise<string | undefined>;
  /** A user's role in an organization; `undefined` for who is no member. */
  findRole(member: { userId: string; organizationId: string }): Promise<Role | undefined>;
}

/** A call that was let through. */
export interface Authorized {
  readonly caller: Caller;
  /** What the caller must still be allowed while a stream goes on. */
  readonly permission: Permission | null;
}

type OwnedPolicy = Exclude<RpcPolicy, { permission: null }>;

/** What is to be decided. */
export interface AuthorizationRequest {
  readonly rpc: string;
  readonly policy: RpcPolicy | undefined;
  readonly token: VerifiedToken;
  readonly userId: string;
  /** Whether the caller is an operator of the platform. */
  readonly isOperator: boolean;
  readonly schema: DescMessage;
  /** The request, or the first message of a stream; `undefined` for a stream without any. */
  readonly message: Message | undefined;
}

/**
 * Decides about one call: the only place where that happens.
 *
 * The resource's own organization decides, never one that the caller names beside it. Somebody else's resource gives
 * the same answer as one that does not exist.
 *
 * @throws NOT_FOUND for what is not the caller's, PERMISSION_DENIED for a role that is too little in the caller's own
 *   organization and for what only operators of the platform may do, INVALID_ARGUMENT without an id.
 */
export async function authorize(store: IdentityStore, request: AuthorizationRequest): Promise<Authorized> {
  const { policy, token, userId, rpc } = request;
  if (!policy) throw new DomainError('INTERNAL', `${rpc} has no entry in the table of permissions`);
  const { issuer, subject, email, expiresAt } = token;
  const user = { userId, issuer, subject, email, expiresAt };
  if (policy.resource.kind === 'platform' && !request.isOperator) throw operatorsOnly();
  if (policy.permission === null) return { caller: { ...user, organizationId: null, role: null }, permission: null };

  if (policy.orOperators && request.isOperator) {
    const organizationId = await findNamedByOperator(store, request, policy);
    return { caller: { ...user, organizationId, role: null }, permission: null };
  }
  const { resource, permission, filters = [] } = policy;
  const organizationId = await findOrganization(store, request, resource);
  if (organizationId === null) {
    throw invalidArgument(resource.field, 'is missing', `the id of the ${resource.kind} (a uuid)`);
  }
  const role = organizationId && (await store.findRole({ userId, organizationId }));
  if (!organizationId || !role) throw notFound(resource.kind);
  for (const filter of filters) {
    const owner = await findOrganization(store, request, filter);
    if (owner !== null && owner !== organizationId) throw notFound(filter.kind);
  }
  if (!isAllowed(role, permission)) throw tooLittle(permission, role);
  return { caller: { ...user, organizationId, role }, permission };
}

/**
 * The organization that an operator of the platform asks about; `null` for all of them.
 *
 * @throws NOT_FOUND for what does not exist, or not in that organization.
 */
async function findNamedByOperator(
  store: IdentityStore,
  request: AuthorizationRequest,
  { resource, filters = [] }: OwnedPolicy,
): Promise<string | null> {
  const organizationId = await findOrganization(store, request, resource);
  if (organizationId === undefined) throw notFound(resource.kind);
  for (const filter of filters) {
    const owner = await findOrganization(store, request, filter);
    const isWithin = organizationId === null ? owner !== undefined : owner === organizationId;
    if (owner !== null && !isWithin) throw notFound(filter.kind);
  }
  return organizationId;
}

/** The organization of what a request names: `null` when it names nothing, `undefined` when that does not exist. */
async function findOrganization(
  store: IdentityStore,
  { schema, message }: AuthorizationRequest,
  reference: OwnedReference,
): Promise<string | null | undefined> {
  const id = message && readResourceId(schema, message, reference);
  return id === undefined ? null : await store.findOrganizationOf(reference.kind, id);
}

/** Says nothing of what the request names: whether that exists is not for this caller to know. */
function operatorsOnly(): DomainError {
  return new DomainError('PERMISSION_DENIED', 'this is for operators of the platform', {
    hint: 'Ask whoever runs the API to name your subject in PLATFORM_OPERATORS; "obiente whoami --json" shows it.',
  });
}

function tooLittle(permission: Permission, role: Role): DomainError {
  return new DomainError(
    'PERMISSION_DENIED',
    `${permission} needs the role ${leastRole(permission)}; yours is ${role}`,
    {
      hint: 'Ask an owner of the organization for that role.',
    },
  );
}
