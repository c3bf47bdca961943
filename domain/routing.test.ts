import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isRoutableHostname } from './hostname.ts';
import { GENERATION_HEADER, type IngressRoute, toTraefikConfig } from './routing.ts';

const CERTIFICATE = { certificate: 'certificate', key: 'key' };

function aRoute(route: Partial<IngressRoute> = {}): IngressRoute {
  return {
    id: 'route-1',
    hostname: 'shop.localhost',
    deploymentId: 'deployment-1',
    service: 'app',
    upstreams: [{ host: '127.0.0.1', port: 30000 }],
    canary: null,
    ...route,
  };
}

function configOf(routes: readonly IngressRoute[], generation = 7) {
  return toTraefikConfig({ generation, routes, defaultCertificate: CERTIFICATE });
}

/** What Traefik would match: everything between the backticks of each rule on the public entry points. */
function publicRules(config: ReturnType<typeof configOf>['config']): string[] {
  return Object.values(config.http.routers)
    .filter((router) => !router.entryPoints.includes('internal'))
    .map((router) => router.rule);
}

function emptyMaps(value: unknown, path = ''): string[] {
  if (typeof value !== 'object' || value === null) return [];
  const entries = Object.entries(value);
  if (entries.length === 0) return path.endsWith('.tls') ? [] : [path];
  return entries.flatMap(([key, inner]) => emptyMaps(inner, `${path}.${key}`));
}

describe('toTraefikConfig', () => {
  it('serves a route on both public entry points with the explicit priority', () => {
    const { config, refused } = configOf([aRoute()]);
    expect(refused).toEqual([]);
    expect(config.http.routers['route-1']).toEqual({
      rule: 'Host(`shop.localhost`)',
      service: 'deployment-1',
      priority: 1000,
      entryPoints: ['web'],
      middlewares: ['replica-retry'],
    });
    expect(config.http.routers['route-1-tls']).toMatchObject({ entryPoints: ['websecure'], tls: {} });
    expect(config.http.services?.['deployment-1']).toMatchObject({
      loadBalancer: { servers: [{ url: 'http://127.0.0.1:30000' }] },
    });
  });

  it('is never empty and tells its generation on the internal entry point only', () => {
    const { config } = configOf([], 42);
    expect(Object.keys(config.http.routers)).toEqual(['obiente-generation']);
    expect(config.http.routers['obiente-generation']?.entryPoints).toEqual(['internal']);
    expect(JSON.stringify(config.http.middlewares)).toContain(`"${GENERATION_HEADER}":"42"`);
  });

  it('hands a request to another replica only while nothing of it was sent', () => {
    const { middlewares, routers } = configOf([aRoute()]).config.http;
    // With `status` Traefik would repeat requests that were answered.
    expect(middlewares['replica-retry']).toEqual({ retry: { attempts: 5, initialInterval: '100ms', timeout: '8s' } });
    expect(routers['obiente-generation']?.middlewares).toEqual(['obiente-generation']);
  });

  it('holds no empty map, with or without routes and servers', () => {
    for (const routes of [[], [aRoute()], [aRoute({ upstreams: [] })]]) {
      expect(emptyMaps(configOf(routes).config)).toEqual([]);
    }
  });

  it('writes IPv6 addresses in brackets', () => {
    const { config } = configOf([aRoute({ upstreams: [{ host: 'fd00::1', port: 80 }] })]);
    expect(JSON.stringify(config.http.services)).toContain('http://[fd00::1]:80');
  });

  it.each([
    ['x.evil.test`) || Host(`shop.victim.test'],
    ['SHOP.victim.test'],
    ['shop.victim.test.'],
    ['*.victim.test'],
    ['10.0.0.1'],
    ['localhost'],
    ['a..b'],
    ['-a.test'],
    [`${'a'.repeat(64)}.test`],
    [`${'a.'.repeat(127)}test`],
    ['shop_.test'],
    ['shop.test\n'],
    [''],
  ])('leaves out and reports the hostname %j', (hostname) => {
    const { config, refused } = configOf([aRoute({ hostname }), aRoute({ id: 'route-2' })]);
    expect(refused).toEqual([{ routeId: 'route-1', reason: 'hostname is not a DNS name in lower case' }]);
    expect(Object.keys(config.http.routers)).toEqual(['obiente-generation', 'route-2', 'route-2-tls']);
  });

  it.each<[string, Partial<IngressRoute>]>([
    ['a service of another provider', { deploymentId: 'api@internal' }],
    ['a router of another provider', { id: 'x@docker' }],
    ['port 0', { upstreams: [{ host: '10.0.0.1', port: 0 }] }],
    ['port 65536', { upstreams: [{ host: '10.0.0.1', port: 65536 }] }],
    ['credentials in an address', { upstreams: [{ host: 'a@b', port: 80 }] }],
    ['a path in an address', { upstreams: [{ host: 'a/b', port: 80 }] }],
  ])('leaves out and reports %s', (_name, part) => {
    expect(configOf([aRoute(part)])).toMatchObject({ refused: [{ routeId: part.id ?? 'route-1' }] });
    expect(publicRules(configOf([aRoute(part)]).config)).toEqual([]);
  });

  it('gives a hostname to one route, the lower id, in whatever order they come', () => {
    const routes = [aRoute({ id: 'b', deploymentId: 'other' }), aRoute({ id: 'a' })];
    for (const order of [routes, routes.toReversed()]) {
      const { config, refused } = configOf(order);
      expect(config.http.routers.a?.service).toBe('deployment-1');
      expect(config.http.routers.b).toBeUndefined();
      expect(refused).toEqual([{ routeId: 'b', reason: 'hostname belongs to another route' }]);
    }
  });

  it('never makes a rule that matches another host than the one given, whatever the string', () => {
    const nasty = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.domain(),
      fc.stringMatching(/^[`)(|&! A-Za-z0-9.*{}^$-]{0,60}$/),
      fc.domain().map((host) => `${host}\`) || Host(\`victim.test`),
    );
    fc.assert(
      fc.property(nasty, (hostname) => {
        const { config, refused } = configOf([aRoute({ hostname })]);
        const rules = publicRules(config);
        if (refused.length === 1) return rules.length === 0;
        return isRoutableHostname(hostname) && rules.every((rule) => rule === `Host(\`${hostname}\`)`);
      }),
      { numRuns: 2000 },
    );
  });

  it('gives the same answer whatever the order of the routes', () => {
    const route = fc.record({
      id: fc.stringMatching(/^[a-d]$/),
      hostname: fc.constantFrom('a.test', 'b.test', 'c.test'),
      deploymentId: fc.stringMatching(/^[a-d]$/),
      service: fc.constantFrom('app', 'web'),
      upstreams: fc.constant([{ host: '127.0.0.1', port: 1 }]),
      canary: fc.constant(null),
    });
    const routes = fc.uniqueArray(route, { selector: ({ id }) => id });
    fc.assert(
      fc.property(routes, (list) => {
        expect(configOf(list.toReversed())).toEqual(configOf(list));
      }),
    );
  });
});
