import { type Client, Code, ConnectError, createClient, type Interceptor, type Transport } from '@connectrpc/connect';
import { createConnectTransport, Http2SessionManager } from '@connectrpc/connect-node';
import { tolerateLateSessionErrors } from '../adapters/http2/late-session-errors.ts';
import { AlertsService } from '../gen/obiente/cloud/v1/alerts_pb.ts';
import { DeploymentsService } from '../gen/obiente/cloud/v1/deployments_pb.ts';
import { GitService } from '../gen/obiente/cloud/v1/git_pb.ts';
import { IdentityService } from '../gen/obiente/cloud/v1/identity_pb.ts';
import { KeysService } from '../gen/obiente/cloud/v1/keys_pb.ts';
import { LogsService } from '../gen/obiente/cloud/v1/logs_pb.ts';
import { MetricsService } from '../gen/obiente/cloud/v1/metrics_pb.ts';
import { NodesService } from '../gen/obiente/cloud/v1/nodes_pb.ts';
import { OperationsService } from '../gen/obiente/cloud/v1/operations_pb.ts';
import { OrganizationsService } from '../gen/obiente/cloud/v1/organizations_pb.ts';
import { PlacementService } from '../gen/obiente/cloud/v1/placement_pb.ts';
import { ProjectsService } from '../gen/obiente/cloud/v1/projects_pb.ts';
import { RegistriesService } from '../gen/obiente/cloud/v1/registries_pb.ts';
import { ReplicasService } from '../gen/obiente/cloud/v1/replicas_pb.ts';
import { RetentionService } from '../gen/obiente/cloud/v1/retention_pb.ts';
import { RoutesService } from '../gen/obiente/cloud/v1/routes_pb.ts';
import { SourcesService } from '../gen/obiente/cloud/v1/sources_pb.ts';
import { UsageService } from '../gen/obiente/cloud/v1/usage_pb.ts';
import { VolumesService } from '../gen/obiente/cloud/v1/volumes_pb.ts';
import { WebhooksService } from '../gen/obiente/cloud/v1/webhooks_pb.ts';
import { retryInterceptor } from './retry.ts';
import type { TokenSource } from './tokens.ts';

/** Every service of the contract, under the name that the command uses. */
export const SERVICES = {
  alerts: AlertsService,
  deployments: DeploymentsService,
  git: GitService,
  identity: IdentityService,
  keys: KeysService,
  logs: LogsService,
  metrics: MetricsService,
  nodes: NodesService,
  placement: PlacementService,
  operations: OperationsService,
  organizations: OrganizationsService,
  projects: ProjectsService,
  registries: RegistriesService,
  replicas: ReplicasService,
  volumes: VolumesService,
  retention: RetentionService,
  routes: RoutesService,
  sources: SourcesService,
  usage: UsageService,
  webhooks: WebhooksService,
} as const;

/** A connection to the API of one platform. */
export type Api = { readonly [Name in keyof typeof SERVICES]: Client<(typeof SERVICES)[Name]> } & {
  readonly url: string;
  readonly transport: Transport;
  close(): void;
};

/** Longest answer to a call that is not a stream; the API's own bounds are shorter. */
const CALL_TIMEOUT_MS = 60_000;

/** Notices a connection whose other end is gone: streams would wait for ever. */
const PING_INTERVAL_MS = 20_000;

/** Creates the clients of one platform; connects with the first call. HTTP/2, in clear text where the URL says so. */
export function createApi(options: { url: string; tokens: TokenSource }): Api {
  tolerateLateSessionErrors();
  const url = options.url.replace(/\/$/, '');
  const sessionManager = new Http2SessionManager(url, { pingIntervalMs: PING_INTERVAL_MS });
  const transport = createConnectTransport({
    baseUrl: url,
    httpVersion: '2',
    sessionManager,
    interceptors: [strangerInterceptor(url), retryInterceptor, timeoutInterceptor, authInterceptor(options.tokens)],
  });
  return {
    alerts: createClient(AlertsService, transport),
    deployments: createClient(DeploymentsService, transport),
    git: createClient(GitService, transport),
    identity: createClient(IdentityService, transport),
    keys: createClient(KeysService, transport),
    logs: createClient(LogsService, transport),
    metrics: createClient(MetricsService, transport),
    nodes: createClient(NodesService, transport),
    placement: createClient(PlacementService, transport),
    operations: createClient(OperationsService, transport),
    organizations: createClient(OrganizationsService, transport),
    projects: createClient(ProjectsService, transport),
    registries: createClient(RegistriesService, transport),
    replicas: createClient(ReplicasService, transport),
    volumes: createClient(VolumesService, transport),
    retention: createClient(RetentionService, transport),
    routes: createClient(RoutesService, transport),
    sources: createClient(SourcesService, transport),
    usage: createClient(UsageService, transport),
    webhooks: createClient(WebhooksService, transport),
    url,
    transport,
    close: () => sessionManager.abort(),
  };
}

/** Tells in words when something else than a platform answers at the address: another server, or another port of it. */
function strangerInterceptor(url: string): Interceptor {
  return (next) => async (request) => {
    try {
      return await next(request);
    } catch (error) {
      if (!(error instanceof ConnectError) || request.signal.aborted || !isFromStranger(error)) throw error;
      throw new ConnectError(
        `${url} answers, but not as the API of a platform (${error.rawMessage})`,
        Code.Unavailable,
      );
    }
  };
}

/**
 * Whether an answer is none of Connect's protocol, or not even HTTP/2. Connect has no words of its own for these: it
 * shows the status, the error of the session, or a call that was cancelled by nobody.
 */
function isFromStranger({ rawMessage, code, cause, isWireError }: ConnectError): boolean {
  const isPlainHttp = /^HTTP \d{3}$/.test(rawMessage) && code !== Code.Unavailable;
  const isNoHttp2 = (cause as NodeJS.ErrnoException | undefined)?.code === 'ERR_HTTP2_ERROR';
  return isPlainHttp || isNoHttp2 || (code === Code.Canceled && !isWireError);
}

const timeoutInterceptor: Interceptor = (next) => async (request) => {
  if (request.stream) return await next(request);
  const signal = AbortSignal.any([request.signal, AbortSignal.timeout(CALL_TIMEOUT_MS)]);
  try {
    return await next({ ...request, signal });
  } catch (error) {
    if (request.signal.aborted || !signal.aborted) throw error;
    throw new ConnectError(`no answer within ${CALL_TIMEOUT_MS / 1000} s`, Code.DeadlineExceeded);
  }
};

/** Adds the bearer token; a unary call whose token is refused is repeated once with a renewed one. */
function authInterceptor(tokens: TokenSource): Interceptor {
  return (next) => async (request) => {
    const token = await tokens.accessToken();
    if (token !== undefined) request.header.set('authorization', `Bearer ${token}`);
    try {
      return await next(request);
    } catch (error) {
      const isRefused = error instanceof ConnectError && error.code === Code.Unauthenticated;
      if (!isRefused || request.stream || token === undefined || !(await tokens.renew(token))) throw error;
      request.header.set('authorization', `Bearer ${await tokens.accessToken()}`);
      return await next(request);
    }
  };
}
