import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DomainError, isDomainError } from '../errors.ts';
import { DEFAULT_HEALTH_CHECK, DEFAULT_LIMITS } from '../spec.ts';
import type { ComposeApplication, ComposeService } from './application.ts';
import { SERVICE_KEYS } from './key-rules.ts';
import { translateCompose } from './translate.ts';

type Raw = Readonly<Record<string, unknown>>;

function translate(raw: Raw, variables: Record<string, string> = {}): ComposeApplication {
  return translateCompose(raw, { variables });
}

/** One service of the given keys, and the warnings that came with it. */
function web(keys: Raw, rest: Raw = {}): ComposeService & { warnings: readonly string[] } {
  const { services, warnings } = translate({
    services: { web: { ...(keys.build === undefined && { image: 'nginx:1' }), ...keys } },
    ...rest,
  });
  const [service] = services;
  if (!service) throw new Error('no service');
  return { ...service, warnings };
}

function refusal(keys: Raw, rest: Raw = {}): DomainError {
  try {
    web(keys, rest);
  } catch (error) {
    if (error instanceof DomainError) return error;
    throw error;
  }
  throw new Error('accepted');
}

describe('an application', () => {
  it('gets its defaults', () => {
    expect(translate({ services: { web: { image: 'nginx' } } })).toEqual({
      name: null,
      services: [
        {
          name: 'web',
          source: { kind: 'image', reference: 'nginx:latest' },
          command: [],
          entrypoint: null,
          environment: [],
          ports: [],
          expose: [],
          replicas: 1,
          limits: DEFAULT_LIMITS,
          healthCheck: DEFAULT_HEALTH_CHECK,
          restartPolicy: 'always',
          constraints: [],
          volumes: [],
          dependsOn: [],
          stopGracePeriodMs: null,
          user: null,
          workingDir: null,
          readOnly: false,
          init: false,
        },
      ],
      volumes: [],
      warnings: [],
    });
  });

  it('has a name where it is a DNS label, and is warned where it is not', () => {
    const services = { web: { image: 'nginx' } };
    expect(translate({ name: 'shop', services })).toMatchObject({ name: 'shop', warnings: [] });
    expect(translate({ name: 'my_shop', services })).toMatchObject({ name: null, warnings: [/^name: /] });
    expect(translate({ version: '3.8', services }).warnings).toEqual([]);
  });

  it('may have fifty services, and no more', () => {
    const many = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`s${index}`, { image: 'nginx' }]));
    expect(translate({ services: many(50) }).services).toHaveLength(50);
    expect(() => translate({ services: many(51) })).toThrow('services: 51 services; allowed is 1 to 50 services');
  });

  it('may come from registries that the operator allows', () => {
    const raw = { services: { web: { image: 'registry.internal:5000/shop' } } };
    const allowed = { registries: { allowedRegistries: ['registry.internal:5000'] } };
    expect(() => translate(raw)).toThrow('services.web.image: found registry');
    expect(translateCompose(raw, { variables: {}, ...allowed }).services[0]?.source).toMatchObject({
      reference: 'registry.internal:5000/shop:latest',
    });
  });

  it('is told everything that is refused, by its path', () => {
    const broken = { image: 'nginx', privileged: true, cap_add: ['ALL'], ports: ['x'], volumes: ['/:/host'] };
    expect(() => translate({ services: { a: broken, b: { image: 'x', pid: 'host' } }, secrets: {} })).toThrow(
      expect.objectContaining({
        field: 'secrets',
        message: expect.stringMatching(
          /^secrets: .*; also refused: services\.a\.privileged, services\.a\.cap_add, services\.a\.ports\[0\], services\.b\.pid$/,
        ),
      }),
    );
  });

  it('never fails but by a refusal, whatever a service says', () => {
    const key = fc.constantFrom(...Object.keys(SERVICE_KEYS), 'x-a', 'other');
    const leaf = fc.oneof(fc.constantFrom('', 'a', '1', 'data:/x', '80:80', '10s', 'CMD', '/x', '$A'), fc.jsonValue());
    const value = fc.oneof(leaf, fc.array(leaf, { maxLength: 3 }), fc.dictionary(fc.string(), leaf, { maxKeys: 3 }));
    fc.assert(
      fc.property(fc.dictionary(key, value, { maxKeys: 5 }), (keys) => {
        try {
          web(keys, { volumes: { data: null } });
        } catch (error) {
          expect(isDomainError(error) && error.code, String(error)).toBe('INVALID_ARGUMENT');
          expect(isDomainError(error) && error.field).not.toBe('');
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('the order of services', () => {
  /** Any services, each depending on some of those that have a smaller number, put in any order. */
  const aGraph = fc.integer({ min: 1, max: 12 }).chain((count) =>
    fc.tuple(
      fc.tuple(
        ...Array.from({ length: count }, (_, index) => fc.subarray(Array.from({ length: index }, (__, of) => of))),
      ),
      fc.shuffledSubarray(
        Array.from({ length: count }, (_, index) => index),
        { minLength: count },
      ),
    ),
  );

  it('puts every service behind those that it depends on', () => {
    fc.assert(
      fc.property(aGraph, ([needs, order]) => {
        const services = Object.fromEntries(
          order.map((index) => [
            `s${index}`,
            { image: 'x', depends_on: needs[index]?.map((need) => `s${need}`) ?? [] },
          ]),
        );
        const names = translate({ services }).services.map(({ name }) => name);
        expect(names.toSorted()).toEqual(Object.keys(services).toSorted());
        for (const { name, dependsOn } of translate({ services }).services) {
          for (const { service } of dependsOn) expect(names.indexOf(service)).toBeLessThan(names.indexOf(name));
        }
      }),
    );
  });

  it('is that of the file where nothing depends on anything', () => {
    const services = Object.fromEntries(['c', 'a', 'b'].map((name) => [name, { image: 'x' }]));
    expect(translate({ services }).services.map(({ name }) => name)).toEqual(['c', 'a', 'b']);
  });

  it('finds every circle', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10 }), (length) => {
        const ring = Array.from({ length }, (_, at) => [
          `s${at}`,
          { image: 'x', depends_on: [`s${(at + 1) % length}`] },
        ]);
        const services = { ...Object.fromEntries(ring), entry: { image: 'x', depends_on: ['s0'] } };
        expect(() => translate({ services })).toThrow(/depends_on\[0\]: a circle, s0 → /);
      }),
    );
  });

  it('keeps conditions', () => {
    const depends_on = {
      db: { condition: 'service_healthy', required: true },
      cache: { condition: 'service_started' },
    };
    const services = { web: { image: 'x', depends_on }, db: { image: 'x' }, cache: { image: 'x' } };
    expect(translate({ services }).services.at(-1)?.dependsOn).toEqual([
      { service: 'db', condition: 'healthy' },
      { service: 'cache', condition: 'started' },
    ]);
  });

  it('refuses a dependency that may be missing', () => {
    const depends_on = { db: { condition: 'service_started', required: false } };
    expect(refusal({ depends_on }).field).toBe('services.web.depends_on.db.required');
  });
});

describe('a service', () => {
  it.each<[Raw, Partial<ComposeService>]>([
    [{ build: '.' }, { source: { kind: 'build', context: '', dockerfile: 'Dockerfile', target: null, args: [] } }],
    [{ build: './a//b/' }, { source: expect.objectContaining({ context: 'a/b' }) }],
    [
      { build: { dockerfile: './x.Dockerfile', no_cache: false } },
      { source: expect.objectContaining({ context: '', dockerfile: 'x.Dockerfile' }) },
    ],
    [
      { build: { context: 'a', args: { A: 1, B: null } } },
      { source: expect.objectContaining({ args: [{ name: 'A', value: '1' }, { name: 'B' }] }) },
    ],
    [{ command: 'echo "a b" c' }, { command: ['echo', 'a b', 'c'] }],
    [{ command: ['echo', '$$(id); `id` | x'] }, { command: ['echo', '$(id); `id` | x'] }],
    [
      { command: null, entrypoint: null },
      { command: [], entrypoint: null },
    ],
    [
      { entrypoint: [], command: [] },
      { command: [], entrypoint: [] },
    ],
    [{ entrypoint: '/start.sh -x' }, { entrypoint: ['/start.sh', '-x'], command: [] }],
    [
      { environment: { A: 1, B: true, C: 'x', D: null, E: 1.5, F: '' } },
      {
        environment: [
          ['A', '1'],
          ['B', 'true'],
          ['C', 'x'],
          ['D', undefined],
          ['E', '1.5'],
          ['F', ''],
        ].map(([name = '', value]) => ({ name, value })),
      },
    ],
    [
      { environment: ['A=1', 'B', 'C=a=b', 'D='] },
      {
        environment: [
          ['A', '1'],
          ['B', undefined],
          ['C', 'a=b'],
          ['D', ''],
        ].map(([name = '', value]) => ({ name, value })),
      },
    ],
    [{ scale: 3 }, { replicas: 3 }],
    [{ scale: '3', deploy: { replicas: 3 } }, { replicas: 3 }],
    [{ deploy: { replicas: 0 } }, { replicas: 0 }],
    [{ deploy: null }, { replicas: 1 }],
    [{ cpus: 0.5, mem_limit: '256m' }, { limits: { cpuCores: 0.5, memoryBytes: 2 ** 28 } }],
    [{ cpus: '2', mem_limit: 2 ** 30 }, { limits: { cpuCores: 2, memoryBytes: 2 ** 30 } }],
    [{ mem_limit: '1g', mem_reservation: '512m' }, { limits: { cpuCores: 1, memoryBytes: 2 ** 30 } }],
    [{ restart: 'unless-stopped' }, { restartPolicy: 'always' }],
    [{ restart: 'on-failure' }, { restartPolicy: 'on-failure' }],
    [{ restart: 'no', deploy: { restart_policy: { condition: 'any' } } }, { restartPolicy: 'always' }],
    [{ stop_grace_period: '1m30s' }, { stopGracePeriodMs: 90_000 }],
    [{ user: '1000:1000' }, { user: '1000:1000' }],
    [{ user: 'node' }, { user: 'node' }],
    [{ working_dir: '/app/' }, { workingDir: '/app' }],
    [
      { read_only: true, init: 'yes' },
      { readOnly: true, init: true },
    ],
    [
      { read_only: 'off', init: 'False' },
      { readOnly: false, init: false },
    ],
    [{ privileged: false, tty: false, stdin_open: false }, {}],
    [{ security_opt: ['no-new-privileges', 'no-new-privileges:true'] }, {}],
    [{ networks: ['default'] }, {}],
    [{ networks: { default: null } }, {}],
  ])('that says %j', (keys, expected) => {
    expect(web(keys)).toMatchObject({ ...expected, warnings: [] });
  });

  it('takes a variable that it names without a value from the caller', () => {
    const raw = { services: { web: { image: 'x', environment: ['A', 'B'] } } };
    expect(translate(raw, { A: 'given $B' }).services[0]?.environment).toEqual([
      { name: 'A', value: 'given $B' },
      { name: 'B', value: undefined },
    ]);
  });

  it('gets the bytes of a variable, whatever they are', () => {
    const V = 'a$b ${c} $$ # " \' \\ \n\t= ü `d` %';
    const raw = { services: { web: { image: 'x', environment: ['V=${V}', 'W'], command: ['echo', '$V'] } } };
    const [service] = translate(raw, { V, W: V }).services;
    expect(service?.environment.map(({ value }) => value)).toEqual([V, V]);
    expect(service?.command).toEqual(['echo', V]);
  });

  it.each<[Raw, string]>([
    [{ environment: { 'A.B': 1 } }, 'environment["A.B"]'],
    [{ environment: ['A=1', 'A=2'] }, 'environment[1]'],
    [{ environment: ['=1'] }, 'environment[0]'],
    [{ environment: { A: [] } }, 'environment.A'],
    [{ environment: { A: 1e300 } }, 'environment.A'],
    [{ environment: { A: 'x'.repeat(64 * 1024 + 1) } }, 'environment.A'],
    [{ environment: Object.fromEntries(Array.from({ length: 1001 }, (_, index) => [`V${index}`, 1])) }, 'environment'],
    [
      { environment: Object.fromEntries(Array.from({ length: 5 }, (_, index) => [`V${index}`, 'x'.repeat(60_000)])) },
      'environment',
    ],
    [{ command: [] }, 'command'],
    [{ command: '' }, 'command'],
    [{ command: 'a "b' }, 'command'],
    [{ command: ['a', 1] }, 'command[1]'],
    [{ command: Array.from({ length: 257 }, () => 'a') }, 'command'],
    [{ command: 'x'.repeat(32 * 1024 + 1) }, 'command'],
    [{ healthcheck: { test: ['curl', 'x'] } }, 'healthcheck.test'],
    [{ healthcheck: { test: ['CMD'] } }, 'healthcheck.test'],
    [{ healthcheck: { test: '' } }, 'healthcheck.test'],
    [{ healthcheck: { test: [] } }, 'healthcheck.test'],
    [{ healthcheck: { test: ['NONE', 'x'] } }, 'healthcheck.test'],
    [{ healthcheck: { interval: '30' } }, 'healthcheck.interval'],
    [{ healthcheck: { interval: '1ms' } }, 'healthcheck.interval'],
    [{ healthcheck: { timeout: '10m' } }, 'healthcheck.timeout'],
    [{ healthcheck: { retries: 0 } }, 'healthcheck.retries'],
    [{ healthcheck: { start_period: '2h' } }, 'healthcheck.start_period'],
    [{ volumes: ['data:/x', 'data:/x/'] }, 'volumes[1]'],
    [{ volumes: ['data:/x'], tmpfs: '/x' }, 'tmpfs'],
    [{ volumes: ['data:/x:ro:z'] }, 'volumes[0]'],
    [{ volumes: Array.from({ length: 65 }, (_, index) => `data:/x${index}`) }, 'volumes'],
    [{ ports: Array.from({ length: 65 }, (_, index) => index + 1) }, 'ports'],
    [{ ports: ['1000-1040', '2000-2040'] }, 'ports'],
    [{ ports: ['1000-1040'], expose: ['2000-2040'] }, 'ports'],
    [{ expose: ['2000-2040', '3000-3040'] }, 'expose'],
  ])('that says %j is refused', (keys, field) => {
    expect(refusal(keys, { volumes: { data: null } }).field).toBe(`services.web.${field}`);
  });

  it.each<[Raw, Partial<ComposeService['healthCheck']>]>([
    [{ disable: true, test: 'x' }, { probe: { kind: 'none' } }],
    [{ test: ['NONE'] }, { probe: { kind: 'none' } }],
    [
      { test: 'curl -f x || exit 1' },
      { probe: { kind: 'command', command: ['/bin/sh', '-c', 'curl -f x || exit 1'] } },
    ],
    [{ test: ['CMD-SHELL', 'x'] }, { probe: { kind: 'command', command: ['/bin/sh', '-c', 'x'] } }],
    [{ test: ['CMD', 'x', 'y z'] }, { probe: { kind: 'command', command: ['x', 'y z'] } }],
    [
      { interval: '5s' },
      { probe: { kind: 'automatic' }, intervalMs: 5000, timeoutMs: 30_000, retries: 3, startPeriodMs: 40_000 },
    ],
    [
      { retries: '5', start_period: '0s' },
      { retries: 5, startPeriodMs: 0 },
    ],
  ])('is checked by %j', (healthcheck, expected) => {
    expect(web({ healthcheck }).healthCheck).toMatchObject(expected);
  });

  it.each<[unknown, ComposeService['volumes'][number]]>([
    ['data:/x', { kind: 'volume', volume: 'data', path: '/x', readOnly: false }],
    ['data:/x//y/:ro', { kind: 'volume', volume: 'data', path: '/x/y', readOnly: true }],
    ['data:/x:ro,z', { kind: 'volume', volume: 'data', path: '/x', readOnly: true }],
    [
      { type: 'volume', source: 'data', target: '/x', read_only: 'true' },
      { kind: 'volume', volume: 'data', path: '/x', readOnly: true },
    ],
    [
      { type: 'tmpfs', target: '/x' },
      { kind: 'tmpfs', path: '/x', sizeBytes: 64 * 1024 ** 2 },
    ],
    [
      { type: 'tmpfs', target: '/x', tmpfs: { size: '1m' } },
      { kind: 'tmpfs', path: '/x', sizeBytes: 1024 ** 2 },
    ],
  ])('sees %j', (volume, expected) => {
    expect(web({ volumes: [volume] }, { volumes: { data: null } })).toMatchObject({
      volumes: [expected],
      warnings: [],
    });
  });

  it('has no tmpfs that is larger than its memory', () => {
    expect(web({ tmpfs: ['/run', '/tmp:size=32m,mode=1777'], mem_limit: '32m' }).volumes).toEqual([
      { kind: 'tmpfs', path: '/run', sizeBytes: 32 * 1024 ** 2 },
      { kind: 'tmpfs', path: '/tmp', sizeBytes: 32 * 1024 ** 2 },
    ]);
    expect(refusal({ tmpfs: '/tmp:size=33m', mem_limit: '32m' }).field).toBe('services.web.tmpfs');
  });

  it.each<[unknown[], number[], number[]]>([
    [['80'], [80], []],
    [[80, '8080:80', '0.0.0.0:81:81', '[::]:82:82'], [80, 81, 82], []],
    [['3000-3002:3000-3002', '8000-8010:80'], [3000, 3001, 3002, 80], []],
    [[{ target: 80, published: '8080', mode: 'host' }], [80], []],
    [[{ target: '80' }], [80], []],
    [['443:443', '5432:5432', '22'], [], [443, 5432, 22]],
    [[{ target: 5432, app_protocol: 'http' }], [5432], []],
    [
      [
        { target: 9000, app_protocol: 'grpc' },
        { target: 9001, app_protocol: 'mysql' },
      ],
      [9000],
      [9001],
    ],
    [['127.0.0.1:80:80', '10.0.0.5::81', '[::1]:82:82', { target: 83, host_ip: '127.0.0.1' }], [], [80, 81, 82, 83]],
  ])('publishes %j at the ports %j, and keeps %j to the others', (ports, published, kept) => {
    const service = web({ ports });
    expect([service.ports, service.expose]).toEqual([published, kept]);
    expect(service.warnings).toHaveLength(kept.length);
  });

  it('exposes what it does not publish', () => {
    expect(web({ ports: ['80'], expose: ['80', 3000, '4000-4001/tcp', '53/udp'] })).toMatchObject({
      ports: [80],
      expose: [3000, 4000, 4001, 53],
    });
  });

  it.each<[Raw, string]>([
    [{ command: 'a; b' }, 'command'],
    [{ command: 'a > b' }, 'command'],
    [{ restart: 'on-failure:3' }, 'restart'],
    [{ labels: { team: 'a' } }, 'labels'],
    [{ logging: { driver: 'local', options: { 'max-size': '1m' } } }, 'logging'],
    [{ cap_drop: ['ALL'] }, 'cap_drop'],
    [{ pull_policy: 'always' }, 'pull_policy'],
    [{ deploy: { update_config: {} } }, 'deploy.update_config'],
    [{ image: 'shop', build: '.' }, 'image'],
  ])('that says %j is warned of %s', (keys, path) => {
    const { warnings } = web(keys);
    expect(warnings).toEqual([expect.stringMatching(new RegExp(`^services\\.web\\.${path}: .{10}`))]);
  });

  it('is not warned of shell signs in quotes', () => {
    expect(web({ command: 'sh -c "a; b > c"' }).warnings).toEqual([]);
  });

  it('is warned that its networks become one', () => {
    const networks = { front: null, back: { driver: 'bridge', external: false } };
    const service = web({ networks: ['front', 'back'] }, { networks });
    expect(service.warnings).toEqual([expect.stringMatching(/^networks: they become one private network/)]);
    expect(web({ networks: ['front'] }, { networks: { front: null } }).warnings).toEqual([]);
  });
});
