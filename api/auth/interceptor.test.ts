import {
  create,
  type DescMethod,
  type DescMethodStreaming,
  type DescMethodUnary,
  type DescService,
  type Message,
} from '@bufbuild/protobuf';
import { isReflectMessage, type ReflectMessage, reflect } from '@bufbuild/protobuf/reflect';
import { Code, ConnectError, createContextValues, createRouterTransport } from '@connectrpc/connect';
import { beforeEach, describe, expect, it } from 'vitest';
import { createLog } from '../../adapters/logging/log.ts';
import { DomainError } from '../../domain/errors.ts';
import { type OwnedKind, PERMISSIONS, type RpcPolicy } from '../../domain/permissions.ts';
import { isAllowed, ROLES, type Role } from '../../domain/roles.ts';
import { createErrorInterceptor } from '../interceptors/errors.ts';
import { PUBLIC_SERVICES } from '../router.ts';
import type { IdentityStore } from './authorization.ts';
import { createAuthInterceptor } from './interceptor.ts';

const ORGANIZATION = 'aaaaaaaa-0000-4000-8000-000000000001';
const OTHER = 'bbbbbbbb-0000-4000-8000-000000000001';
const IDS: Record<OwnedKind, { own: string; foreign: string; unknown: string }> = {
  organization: { own: ORGANIZATION, foreign: OTHER, unknown: 'cccccccc-0000-4000-8000-000000000001' },
  project: {
    own: 'aaaaaaaa-0000-4000-8000-000000000002',
    foreign: 'bbbbbbbb-0000-4000-8000-000000000002',
    unknown: 'cccccccc-0000-4000-8000-000000000002',
  },
  deployment: {
    own: 'aaaaaaaa-0000-4000-8000-000000000003',
    foreign: 'bbbbbbbb-0000-4000-8000-000000000003',
    unknown: 'cccccccc-0000-4000-8000-000000000003',
  },
  operation: {
    own: 'aaaaaaaa-0000-4000-8000-000000000004',
    foreign: 'bbbbbbbb-0000-4000-8000-000000000004',
    unknown: 'cccccccc-0000-4000-8000-000000000004',
  },
};

/** A database of two organizations: `<role>` is a member of the first, `stranger` owns the second, `nobody` none. */
function createStore() {
  const created: string[] = [];
  const store: IdentityStore = {
    ensureUser: async ({ subject }) => {
      created.push(subject);
      return { userId: subject };
    },
    findOrganizationOf: async (kind, id) => {
      if (id === IDS[kind].own) return ORGANIZATION;
      return id === IDS[kind].foreign ? OTHER : undefined;
    },
    findRole: async ({ userId, organizationId }) => {
      if (organizationId === OTHER) return userId === 'stranger' ? 'owner' : undefined;
      return ROLES.find((role) => role === userId);
    },
  };
  return { store, created };
}

let database: ReturnType<typeof createStore>;
let transport: ReturnType<typeof createRouterTransport>;

beforeEach(() => {
  database = createStore();
  const verify = async (token: string) => {
    if (token === 'forged') throw new DomainError('UNAUTHENTICATED', 'token refused: its signature is not valid');
    const expiresAt = new Date(Date.now() + 60_000);
    return { issuer: 'https://login.example.test', subject: token, email: '', expiresAt };
  };
  const log = createLog({ role: 'test', level: 'silent' });
  const interceptors = [
    createErrorInterceptor(log),
    createAuthInterceptor({ verifier: { verify }, store: database.store, operators: new Set(['operator']) }),
  ];
  transport = createRouterTransport((router) => {
    for (const service of PUBLIC_SERVICES) router.service(service, {}, { interceptors });
  });
});

/** Sets the field at a path of proto names. */
function setField(message: ReflectMessage, [name, ...rest]: string[], id: string): void {
  const field = message.fields.find((candidate) => candidate.name === name);
  if (!field) throw new Error(`no field ${name}`);
  if (rest.length === 0) {
    message.set(field, id);
    return;
  }
  if (field.fieldKind !== 'message') throw new Error(`${name} is no message`);
  const inner = reflect(field.message, create(field.message));
  setField(inner, rest, id);
  message.set(field, inner);
}

function requestWith(method: DescMethod, ids: Record<string, string>): Message {
  const message = create(method.input);
  for (const [field, id] of Object.entries(ids)) setField(reflect(method.input, message), field.split('.'), id);
  return message;
}

function isUnary(method: DescMethod): method is DescMethodUnary {
  return method.methodKind === 'unary';
}

/** Calls by whatever kind the method is; a call that is let through ends as `Unimplemented`. */
async function call(method: DescMethod, token: string | undefined, ids: Record<string, string>): Promise<ConnectError> {
  const header = new Headers(token === undefined ? {} : { authorization: `Bearer ${token}` });
  const message = requestWith(method, ids);
  async function* once() {
    yield message;
  }
  try {
    if (isUnary(method)) {
      await transport.unary(method, undefined, undefined, header, message, createContextValues());
    } else {
      const stream = await transport.stream(
        method as DescMethodStreaming,
        undefined,
        undefined,
        header,
        once(),
        createContextValues(),
      );
      for await (const _ of stream.message) break;
    }
  } catch (error) {
    return ConnectError.from(error);
  }
  throw new Error('a handler without code answered');
}

interface Rpc {
  readonly name: string;
  readonly method: DescMethod;
  readonly policy: RpcPolicy;
}

const rpcs: Rpc[] = PUBLIC_SERVICES.flatMap((service: DescService) =>
  service.methods.map((method) => {
    const name = `${service.typeName}/${method.name}`;
    const policy = PERMISSIONS[name];
    if (!policy) throw new Error(`${name} has no policy`);
    return { name, method, policy };
  }),
);
const owned = rpcs.flatMap(({ name, method, policy }) =>
  policy.permission === null ? [] : [{ name, method, policy }],
);

/** The ids of a request that is entirely the caller's own. */
function ownIds(policy: Extract<RpcPolicy, { permission: string }>): Record<string, string> {
  const references = [policy.resource, ...(policy.filters ?? [])];
  return Object.fromEntries(references.map(({ kind, field }) => [field, IDS[kind].own]));
}

describe.each(rpcs)('$name', ({ method, policy }) => {
  const ids = policy.permission === null ? {} : ownIds(policy);

  it('is refused without a token, and with a wrong one, before anything is looked up', async () => {
    for (const token of [undefined, 'forged', '', 'two words']) {
      expect((await call(method, token, ids)).code).toBe(Code.Unauthenticated);
    }
    expect(database.created).toEqual([]);
  });

  it.each(ROLES)('is decided by the role %s', async (role: Role) => {
    const isOpen = policy.permission === null || isAllowed(role, policy.permission);
    const isDenied = !isOpen || policy.resource.kind === 'platform';
    expect((await call(method, role, ids)).code).toBe(isDenied ? Code.PermissionDenied : Code.Unimplemented);
  });
});

describe.each(rpcs.filter(({ policy }) => policy.resource.kind === 'platform'))('$name', ({ method }) => {
  const ids = 'organization_id' in method.input.field ? [IDS.organization.own, IDS.organization.unknown] : [undefined];
  const requests = ids.map((id) => (id === undefined ? {} : { organization_id: id }));

  it('is for operators of the platform, whatever they are in organizations', async () => {
    for (const request of requests) expect((await call(method, 'operator', request)).code).toBe(Code.Unimplemented);
  });

  it.each([...ROLES, 'stranger', 'nobody', 'Operator', 'operators'])(
    'is refused to %j in the same words, whatever the request names',
    async (caller) => {
      const answers = await Promise.all(requests.map((request) => call(method, caller, request)));
      for (const { code, message } of answers) {
        expect([code, message]).toEqual([Code.PermissionDenied, answers[0]?.message]);
        expect(message).toContain('operators of the platform');
      }
    },
  );
});

describe.each(owned)('$name', ({ method, policy }) => {
  const ids = ownIds(policy);
  const { resource, filters = [] } = policy;

  it.each(['nobody', 'stranger'])('answers %s as if the resource did not exist', async (caller) => {
    const foreign = await call(method, caller, ids);
    const unknown = await call(method, caller, { ...ids, [resource.field]: IDS[resource.kind].unknown });
    expect(foreign.code).toBe(Code.NotFound);
    expect(JSON.stringify(foreign)).toBe(JSON.stringify(unknown));
  });

  it('answers the mightiest member as if a foreign resource did not exist', async () => {
    const { foreign, unknown } = IDS[resource.kind];
    const answers = await Promise.all(
      [foreign, unknown].map((id) => call(method, 'owner', { ...ids, [resource.field]: id })),
    );
    expect(answers.map(({ code }) => code)).toEqual([Code.NotFound, Code.NotFound]);
    expect(answers[0]?.message).toBe(answers[1]?.message);
  });

  it.each(filters)('looks at its filter $field too', async ({ kind, field }) => {
    for (const id of [IDS[kind].foreign, IDS[kind].unknown]) {
      expect((await call(method, 'owner', { ...ids, [field]: id })).code).toBe(Code.NotFound);
    }
    const { [field]: _, ...withoutFilter } = ids;
    expect((await call(method, 'owner', withoutFilter)).code).toBe(Code.Unimplemented);
  });

  it('names the field when its id is missing or no id', async () => {
    const { [resource.field]: _, ...without } = ids;
    for (const id of [
      undefined,
      '',
      'x',
      `${IDS.project.own}'--`,
      `{${IDS.project.own}}`,
      `urn:uuid:${IDS.project.own}`,
    ]) {
      const refused = await call(method, 'owner', id === undefined ? without : { ...ids, [resource.field]: id });
      expect(refused.code).toBe(Code.InvalidArgument);
      expect(refused.rawMessage).toContain(resource.field);
    }
  });

  it('takes an id in upper case for the same id', async () => {
    const upper = Object.fromEntries(Object.entries(ids).map(([field, id]) => [field, id.toUpperCase()]));
    expect((await call(method, 'owner', upper)).code).toBe(Code.Unimplemented);
    expect((await call(method, 'stranger', upper)).code).toBe(Code.NotFound);
  });
});

it('finds out about nested ids', () => {
  const upload = owned.find(({ name }) => name.endsWith('/UploadContext'));
  if (!upload) throw new Error('no upload');
  const request = reflect(upload.method.input, requestWith(upload.method, ownIds(upload.policy)));
  const header = request.fields.find(({ name }) => name === 'header');
  expect(header && isReflectMessage(request.get(header))).toBe(true);
});
