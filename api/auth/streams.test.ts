import { Code, ConnectError, createClient, createRouterTransport, type HandlerContext } from '@connectrpc/connect';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createLog } from '../../adapters/logging/log.ts';
import { DomainError } from '../../domain/errors.ts';
import type { Role } from '../../domain/roles.ts';
import { DeploymentsService } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { IdentityService } from '../../gen/obiente/cloud/v1/identity_pb.ts';
import { SourcesService } from '../../gen/obiente/cloud/v1/sources_pb.ts';
import { createErrorInterceptor } from '../interceptors/errors.ts';
import type { IdentityStore } from './authorization.ts';
import { type Caller, getCaller } from './caller.ts';
import { createAuthInterceptor } from './interceptor.ts';

const ORGANIZATION = 'aaaaaaaa-0000-4000-8000-000000000001';
const DEPLOYMENT = 'aaaaaaaa-0000-4000-8000-000000000003';
const HEADERS = { headers: { authorization: 'Bearer ada' } };

afterEach(() => {
  vi.useRealTimers();
});

/** A platform with one stream that goes on until its signal says stop, and a database that the test changes. */
function aRig({ lifetimeMs = 3_600_000 } = {}) {
  const ended = Promise.withResolvers<unknown>();
  const rig = {
    role: 'viewer' as Role | undefined | Error,
    users: [] as string[],
    callers: [] as Caller[],
    ended: ended.promise,
    chunks: 0,
  };
  const store: IdentityStore = {
    ensureUser: async ({ subject }) => {
      rig.users.push(subject);
      return { userId: subject };
    },
    findOrganizationOf: async () => ORGANIZATION,
    findRole: async () => {
      if (rig.role instanceof Error) throw rig.role;
      return rig.role;
    },
  };
  const verify = async (subject: string) => {
    const expiresAt = new Date(Date.now() + lifetimeMs);
    return { issuer: 'https://login.example.test', subject, email: '', expiresAt };
  };
  const interceptors = [
    createErrorInterceptor(createLog({ role: 'test', level: 'silent' })),
    createAuthInterceptor({ verifier: { verify }, store }),
  ];
  async function* untilStopped(_request: unknown, context: HandlerContext) {
    rig.callers.push(getCaller(context));
    yield { sequence: 1n };
    await new Promise((resolve) => context.signal.addEventListener('abort', resolve, { once: true }));
    ended.resolve(context.signal.reason);
  }
  const transport = createRouterTransport((router) => {
    router.service(DeploymentsService, { watchDeployment: untilStopped }, { interceptors });
    router.service(IdentityService, { whoAmI: async () => ({}) }, { interceptors });
    const uploadContext = async (parts: AsyncIterable<unknown>) => {
      for await (const _ of parts) rig.chunks += 1;
      return {};
    };
    router.service(SourcesService, { uploadContext }, { interceptors });
  });
  return { rig, transport };
}

function watch({ transport }: ReturnType<typeof aRig>, signal?: AbortSignal) {
  const client = createClient(DeploymentsService, transport);
  const options = signal ? { ...HEADERS, signal } : HEADERS;
  return client.watchDeployment({ deploymentId: DEPLOYMENT }, options)[Symbol.asyncIterator]();
}

async function failureOf(step: Promise<unknown>): Promise<ConnectError> {
  try {
    await step;
  } catch (error) {
    return ConnectError.from(error);
  }
  throw new Error('did not fail');
}

describe('a stream', () => {
  it('knows its caller', async () => {
    const world = aRig();
    await watch(world).next();
    expect(world.rig.callers).toMatchObject([{ userId: 'ada', organizationId: ORGANIZATION, role: 'viewer' }]);
  });

  it('ends when its token expires, and its handler with it', async () => {
    vi.useFakeTimers();
    const world = aRig({ lifetimeMs: 600_000 });
    const events = watch(world);
    expect((await events.next()).value?.sequence).toBe(1n);
    const failure = failureOf(events.next());
    await vi.advanceTimersByTimeAsync(600_000);
    expect(await failure).toMatchObject({
      code: Code.Unauthenticated,
      rawMessage: 'the stream ended: its token has expired',
    });
    await world.rig.ended;
  });

  it('goes on for weeks on a token that lasts that long', async () => {
    vi.useFakeTimers();
    const world = aRig({ lifetimeMs: 2 ** 31 + 1000 });
    const events = watch(world);
    await events.next();
    let isOver = false;
    const failure = failureOf(events.next()).finally(() => {
      isOver = true;
    });
    await vi.advanceTimersByTimeAsync(1_000_000);
    expect(isOver).toBe(false);
    world.rig.role = undefined;
    await vi.advanceTimersByTimeAsync(60_000);
    await failure;
  });

  it.each<[string, Role | undefined]>([['is gone', undefined]])(
    'ends within 60 s when the membership %s',
    async (_, role) => {
      vi.useFakeTimers();
      const world = aRig();
      const events = watch(world);
      await events.next();
      const failure = failureOf(events.next());
      world.rig.role = role;
      await vi.advanceTimersByTimeAsync(60_000);
      expect((await failure).code).toBe(Code.Unauthenticated);
      await world.rig.ended;
    },
  );

  it('goes on while the database is away for a moment', async () => {
    vi.useFakeTimers();
    const world = aRig();
    const events = watch(world);
    await events.next();
    const failure = failureOf(events.next());
    world.rig.role = new DomainError('DATABASE_UNAVAILABLE', 'the database is away');
    await vi.advanceTimersByTimeAsync(40_000);
    world.rig.role = 'viewer';
    await vi.advanceTimersByTimeAsync(600_000);
    world.rig.role = undefined;
    await vi.advanceTimersByTimeAsync(60_000);
    expect((await failure).rawMessage).toBe('the stream ended: the access was taken back');
  });

  it('ends as retryable when nobody can tell for 60 s whether it is still allowed', async () => {
    vi.useFakeTimers();
    const world = aRig();
    const events = watch(world);
    await events.next();
    const failure = failureOf(events.next());
    world.rig.role = new DomainError('DATABASE_UNAVAILABLE', 'the database is away');
    await vi.advanceTimersByTimeAsync(60_000);
    expect((await failure).code).toBe(Code.Unavailable);
  });

  it('leaves no timer behind when its caller leaves', async () => {
    vi.useFakeTimers();
    const world = aRig();
    const leave = new AbortController();
    const events = watch(world, leave.signal);
    await events.next();
    expect(vi.getTimerCount()).toBeGreaterThan(0);
    const failure = failureOf(events.next());
    leave.abort();
    expect((await failure).code).toBe(Code.Canceled);
    await world.rig.ended;
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('an upload', () => {
  async function* parts(count: number) {
    yield { part: { case: 'header' as const, value: { organizationId: ORGANIZATION } } };
    for (let index = 0; index < count; index += 1) {
      yield { part: { case: 'chunk' as const, value: new Uint8Array([index]) } };
    }
  }

  it('is decided by its first message, and reaches the handler whole', async () => {
    const world = aRig();
    world.rig.role = 'member';
    await createClient(SourcesService, world.transport).uploadContext(parts(9), HEADERS);
    expect(world.rig.chunks).toBe(10);
  });

  it('is refused before its second message is read', async () => {
    const world = aRig();
    const failure = await failureOf(createClient(SourcesService, world.transport).uploadContext(parts(9), HEADERS));
    expect(failure).toMatchObject({ code: Code.PermissionDenied });
    expect(failure.rawMessage).toBe('deployment.create needs the role member; yours is viewer');
    expect(world.rig.chunks).toBe(0);
  });

  it('is refused when it begins without header, or not at all', async () => {
    const { transport } = aRig();
    const client = createClient(SourcesService, transport);
    async function* chunkFirst() {
      yield { part: { case: 'chunk' as const, value: new Uint8Array(1) } };
    }
    async function* nothing() {}
    for (const stream of [chunkFirst(), nothing()]) {
      expect(await failureOf(client.uploadContext(stream, HEADERS))).toMatchObject({
        code: Code.InvalidArgument,
        rawMessage: expect.stringContaining('header.organization_id: is missing'),
      });
    }
  });
});

describe('users', () => {
  it('are asked for once a minute, not once a call, and again after a failure', async () => {
    const { rig, transport } = aRig();
    const client = createClient(IdentityService, transport);
    await Promise.all(Array.from({ length: 50 }, () => client.whoAmI({}, HEADERS)));
    expect(rig.users).toEqual(['ada']);
    vi.useFakeTimers({ now: Date.now() + 61_000, toFake: ['Date'] });
    await client.whoAmI({}, HEADERS);
    expect(rig.users).toEqual(['ada', 'ada']);
  });
});
