import { DomainError } from './errors.ts';
import { PERMISSIONS, type RpcPolicy } from './permissions.ts';

/** What {@link assertEveryRpcHasAnEntry} reads of a message descriptor; `@bufbuild/protobuf`'s fits. */
export interface MessageShape {
  readonly fields: readonly { readonly name: string; readonly message?: MessageShape | undefined }[];
}

/** What {@link assertEveryRpcHasAnEntry} reads of a service descriptor; `@bufbuild/protobuf`'s fits. */
export interface ServiceShape {
  readonly typeName: string;
  readonly methods: readonly { readonly name: string; readonly input: MessageShape }[];
}

/**
 * Refuses services whose RPCs {@link PERMISSIONS} does not cover, so that a process with such a hole does not start.
 *
 * An RPC is covered when it has an entry, the entry's fields exist in the request, and no id of a project, deployment
 * or organization in the request is left out of the entry. Operators of the platform may name any.
 *
 * @throws INTERNAL with every hole at once.
 */
export function assertEveryRpcHasAnEntry(
  services: readonly ServiceShape[],
  permissions: Readonly<Record<string, RpcPolicy>> = PERMISSIONS,
): void {
  const holes = services.flatMap((service) =>
    service.methods.flatMap((method) => {
      const rpc = `${service.typeName}/${method.name}`;
      const policy = Object.hasOwn(permissions, rpc) ? permissions[rpc] : undefined;
      return policy ? holesOf(rpc, policy, method.input) : [`${rpc} has no entry`];
    }),
  );
  if (holes.length > 0) throw new DomainError('INTERNAL', `permissions do not cover every rpc: ${holes.join('; ')}`);
}

function holesOf(rpc: string, policy: RpcPolicy, input: MessageShape): string[] {
  if (policy.resource.kind === 'platform') return [];
  const named =
    policy.permission === null ? [] : [policy.resource, ...(policy.filters ?? [])].map(({ field }) => field);
  const present = idFields(input, '');
  const unknown = named.filter((field) => !present.includes(field)).map((field) => `${rpc} has no field ${field}`);
  const unchecked = present.filter((field) => !named.includes(field)).map((field) => `${rpc} does not check ${field}`);
  return [...unknown, ...unchecked];
}

const OWNED_ID = /^(organization|project|deployment|operation)_ids?$/;

/** Requests are trees of a few levels; deeper than this nothing of the contract goes. */
const MAX_DEPTH = 8;

function idFields(message: MessageShape, prefix: string, depth = 0): string[] {
  if (depth > MAX_DEPTH) return [];
  return message.fields.flatMap((field) => {
    const path = `${prefix}${field.name}`;
    if (field.message) return idFields(field.message, `${path}.`, depth + 1);
    return OWNED_ID.test(field.name) ? [path] : [];
  });
}
