import { isRoutableHostname } from './hostname.ts';
import { ONLY_SERVICE } from './spec.ts';

/** Where a replica answers. */
export interface Upstream {
  /** IP address or DNS name of the node, without brackets. */
  readonly host: string;
  readonly port: number;
}

/** One hostname and the replicas that answer at it. */
export interface IngressRoute {
  readonly id: string;
  readonly hostname: string;
  readonly deploymentId: string;
  /** Service of the deployment that answers. */
  readonly service: string;
  /** Empty while nothing serves: the ingress then answers 503. */
  readonly upstreams: readonly Upstream[];
  /** A revision that gets a share of the requests by itself; `null` when all upstreams are alike. */
  readonly canary: Canary | null;
}

/** A revision on trial. */
export interface Canary {
  readonly revision: number;
  /** Share of the requests, 1 to 99 percent. */
  readonly weightPercent: number;
  readonly upstreams: readonly Upstream[];
}

/** A certificate chain and its private key, both PEM. */
export interface PemCertificate {
  readonly certificate: string;
  readonly key: string;
}

/** Everything that an ingress serves at one time. */
export interface IngressSnapshot {
  /** Grows with each change; the ingress tells which one it serves. */
  readonly generation: number;
  readonly routes: readonly IngressRoute[];
  readonly certificates?: readonly PemCertificate[];
}

/** A part of a snapshot that no rule may be made of. */
export interface RefusedRoute {
  readonly routeId: string;
  readonly reason: string;
}

/** Traefik's dynamic configuration, as far as this platform uses it. */
export interface TraefikConfig {
  readonly http: {
    readonly routers: Readonly<Record<string, TraefikRouter>>;
    readonly middlewares: Readonly<Record<string, object>>;
    readonly services?: Readonly<Record<string, object>>;
    readonly serversTransports?: Readonly<Record<string, object>>;
  };
  readonly tls: object;
}

interface TraefikRouter {
  readonly rule: string;
  readonly entryPoints: readonly string[];
  readonly service: string;
  readonly priority: number;
  readonly middlewares?: readonly string[];
  readonly tls?: object;
}

/** Where an ingress tells, on its internal entry point, which generation it serves. */
export const GENERATION_PATH = '/.obiente/generation';

/** Response header with the served generation, in lower case as Node gives it. */
export const GENERATION_HEADER = 'x-obiente-generation';

const GENERATION_ROUTER = 'obiente-generation';
const REPLICA_TRANSPORT = 'replicas';
const REPLICA_RETRY = 'replica-retry';

/** Explicit for all routes alike: without it Traefik prefers the longer rule, which a tenant could choose. */
const ROUTE_PRIORITY = 1000;
const GENERATION_PRIORITY = 1_000_000;

/**
 * Idle connections are closed by the ingress before the application does it (5 s in Node), else a POST on a
 * connection that is being closed answers 502. An application that cannot be reached is given up after 3 s.
 */
const TRANSPORT = {
  maxIdleConnsPerHost: 64,
  forwardingTimeouts: { dialTimeout: '3s', responseHeaderTimeout: '0s', idleConnTimeout: '3s' },
};

/**
 * A request that could not be handed to a replica is handed to the next one: while a daemon restarts, its node refuses
 * connections for some tenths of a second, and a lost node takes none until its routes are gone. Only what has sent
 * nothing yet is tried again, so nothing is done twice, whatever the method. Pauses of 100 to 200 ms: half a second in all
 * when refused; 8 s end it when each try waits for `dialTimeout`.
 */
const RETRY = { attempts: 5, initialInterval: '100ms', timeout: '8s' };

/**
 * Turns a snapshot into what Traefik is fed.
 *
 * Rules are made of valid hostnames only, names of ids only. What is not valid is left out and reported, so one bad
 * row never breaks the routes of others. Never empty, since Traefik takes an empty answer for "no routes"; no empty
 * maps, since it refuses a snapshot with any. The order of the routes does not matter: of two with one hostname the
 * lower id wins.
 */
export function toTraefikConfig(snapshot: IngressSnapshot & { readonly defaultCertificate: PemCertificate }): {
  readonly config: TraefikConfig;
  readonly refused: readonly RefusedRoute[];
} {
  const { accepted, refused } = sortOut(snapshot.routes);
  const routers: Record<string, TraefikRouter> = { [GENERATION_ROUTER]: generationRouter };
  const services: Record<string, object> = {};
  for (const route of accepted) {
    const rule = { rule: `Host(\`${route.hostname}\`)`, service: poolName(route), priority: ROUTE_PRIORITY };
    const router = { ...rule, middlewares: [REPLICA_RETRY] };
    routers[route.id] = { ...router, entryPoints: ['web'] };
    routers[`${route.id}-tls`] = { ...router, entryPoints: ['websecure'], tls: {} };
    if (!services[poolName(route)]) Object.assign(services, toServices(route));
  }
  const hasServices = accepted.length > 0;
  const config: TraefikConfig = {
    http: {
      routers,
      middlewares: {
        [GENERATION_ROUTER]: {
          headers: { customResponseHeaders: { [GENERATION_HEADER]: String(snapshot.generation) } },
        },
        ...(hasServices ? { [REPLICA_RETRY]: { retry: RETRY } } : {}),
      },
      ...(hasServices ? { services, serversTransports: { [REPLICA_TRANSPORT]: TRANSPORT } } : {}),
    },
    tls: toTls(snapshot.defaultCertificate, snapshot.certificates ?? []),
  };
  return { config, refused };
}

const generationRouter: TraefikRouter = {
  rule: `Path(\`${GENERATION_PATH}\`)`,
  entryPoints: ['internal'],
  service: 'ping@internal',
  middlewares: [GENERATION_ROUTER],
  priority: GENERATION_PRIORITY,
};

function sortOut(routes: readonly IngressRoute[]): { accepted: IngressRoute[]; refused: RefusedRoute[] } {
  const accepted: IngressRoute[] = [];
  const refused: RefusedRoute[] = [];
  const taken = new Set<string>();
  for (const route of [...routes].sort((one, other) => (one.id < other.id ? -1 : one.id > other.id ? 1 : 0))) {
    const reason = refusal(route, taken);
    if (reason) {
      refused.push({ routeId: route.id, reason });
    } else {
      taken.add(route.hostname);
      accepted.push(route);
    }
  }
  return { accepted, refused };
}

/** Ids are UUIDs; anything with `@` would name a router or service of another provider, such as `api@internal`. */
const ID_PATTERN = /^[a-z0-9-]{1,64}$/;

/** What Traefik calls the replicas behind a route. */
function poolName({ deploymentId, service }: Pick<IngressRoute, 'deploymentId' | 'service'>): string {
  return service === ONLY_SERVICE ? deploymentId : `${deploymentId}-${service}`;
}

function refusal(route: IngressRoute, taken: ReadonlySet<string>): string | undefined {
  if (!ID_PATTERN.test(route.id)) return 'route id is not made of a-z, 0-9 and hyphens';
  if (!ID_PATTERN.test(route.deploymentId)) return 'deployment id is not made of a-z, 0-9 and hyphens';
  if (!ID_PATTERN.test(route.service)) return 'service name is not made of a-z, 0-9 and hyphens';
  if (!isRoutableHostname(route.hostname)) return 'hostname is not a DNS name in lower case';
  if (taken.has(route.hostname)) return 'hostname belongs to another route';
  const upstreams = [...route.upstreams, ...(route.canary?.upstreams ?? [])];
  const bad = upstreams.find((upstream) => toServerUrl(upstream) === undefined);
  return bad ? 'upstream is not an address and port' : undefined;
}

const IPV6_PATTERN = /^[0-9a-f:.]*:[0-9a-f:.]*$/;
const ADDRESS_PATTERN = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/;

function toServerUrl({ host, port }: Upstream): string | undefined {
  if (!Number.isInteger(port) || port < 1 || port > 65535) return undefined;
  if (ADDRESS_PATTERN.test(host)) return `http://${host}:${port}`;
  return IPV6_PATTERN.test(host) ? `http://[${host}]:${port}` : undefined;
}

/** Name of the ingress's service for a revision on trial; its counters carry it. */
export function revisionServiceName(deploymentId: string, revision: number): string {
  return `${deploymentId}-r${revision}`;
}

/** A share goes to the revision on trial only while both sides have somebody who answers. */
function toServices(route: IngressRoute): Record<string, object> {
  const { deploymentId, upstreams, canary } = route;
  const pool = poolName(route);
  if (!canary || canary.upstreams.length === 0 || upstreams.length === 0) {
    return { [pool]: toService([...upstreams, ...(canary?.upstreams ?? [])]) };
  }
  const [trial, others] = [revisionServiceName(deploymentId, canary.revision), `${pool}-others`];
  const services = [
    { name: trial, weight: canary.weightPercent },
    { name: others, weight: 100 - canary.weightPercent },
  ];
  return {
    [pool]: { weighted: { services } },
    [trial]: toService(canary.upstreams),
    [others]: toService(upstreams),
  };
}

function toService(upstreams: readonly Upstream[]): object {
  const servers = upstreams.flatMap((upstream) => toServerUrl(upstream) ?? []).map((url) => ({ url }));
  return {
    loadBalancer: {
      passHostHeader: true,
      serversTransport: REPLICA_TRANSPORT,
      ...(servers.length > 0 ? { servers } : {}),
    },
  };
}

/** Without a default certificate Traefik makes an RSA key at each reload: 48 ms in place of 4. */
function toTls(defaultCertificate: PemCertificate, certificates: readonly PemCertificate[]): object {
  const toFiles = ({ certificate, key }: PemCertificate) => ({ certFile: certificate, keyFile: key });
  return {
    stores: { default: { defaultCertificate: toFiles(defaultCertificate) } },
    ...(certificates.length > 0 ? { certificates: certificates.map(toFiles) } : {}),
    options: { default: { minVersion: 'VersionTLS12' } },
  };
}
