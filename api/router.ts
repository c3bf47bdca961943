import type { ConnectRouter, Interceptor, ServiceImpl } from '@connectrpc/connect';
import type { Log } from '../adapters/logging/log.ts';
import { assertEveryRpcHasAnEntry } from '../domain/permission-coverage.ts';
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
import { ControlService } from '../gen/obiente/internal/v1/control_pb.ts';
import { createErrorInterceptor } from './interceptors/errors.ts';
import { createRequestLogInterceptor } from './interceptors/request-log.ts';
import { createValidationInterceptor } from './interceptors/validation.ts';
import { type AlertsDeps, createAlertsService } from './services/alerts.ts';
import { type ControlDeps, createControlService } from './services/control.ts';
import { createDeploymentsService, type DeploymentsDeps } from './services/deployments.ts';
import { createGitService } from './services/git.ts';
import { createIdentityService } from './services/identity.ts';
import { createKeysService, type KeysDeps } from './services/keys.ts';
import { createLogsService, type LogsDeps } from './services/logs.ts';
import { createNodesService, type NodesDeps } from './services/nodes.ts';
import { createOperationsService, type OperationsDeps } from './services/operations.ts';
import { createOrganizationsService } from './services/organizations.ts';
import { createPlacementService, type PlacementDeps } from './services/placement.ts';
import { createProjectsService } from './services/projects.ts';
import { createRegistriesService } from './services/registries.ts';
import { createReplicasService } from './services/replicas.ts';
import { createRetentionService, type RetentionDeps } from './services/retention.ts';
import { createRoutesService } from './services/routes.ts';
import { createSourcesService } from './services/sources.ts';
import { createUsageService, type UsageDeps } from './services/usage.ts';
import { createVolumesService, type VolumesDeps } from './services/volumes.ts';
import { createWebhooksService } from './services/webhooks.ts';
import type { ApiTelemetry } from './telemetry.ts';

/** The services of the public contract. */
export const PUBLIC_SERVICES = [
  AlertsService,
  DeploymentsService,
  GitService,
  IdentityService,
  KeysService,
  LogsService,
  MetricsService,
  NodesService,
  OperationsService,
  OrganizationsService,
  PlacementService,
  ProjectsService,
  RegistriesService,
  ReplicasService,
  RetentionService,
  RoutesService,
  SourcesService,
  UsageService,
  VolumesService,
  WebhooksService,
] as const;

/** What all services together need. */
export interface RouterDeps
  extends AlertsDeps,
    DeploymentsDeps,
    OperationsDeps,
    LogsDeps,
    ControlDeps,
    NodesDeps,
    KeysDeps,
    PlacementDeps,
    VolumesDeps,
    RetentionDeps,
    UsageDeps {
  readonly workflows: DeploymentsDeps['workflows'] &
    OperationsDeps['workflows'] &
    ControlDeps['workflows'] &
    NodesDeps['workflows'] &
    KeysDeps['workflows'] &
    PlacementDeps['workflows'] &
    VolumesDeps['workflows'];
  readonly heartbeatMs: number;
  readonly metrics: ServiceImpl<typeof MetricsService>;
  readonly log: Log;
  readonly telemetry: ApiTelemetry;
  /** Decides about calls of the public services. */
  readonly userAuth: Interceptor;
  /** Decides about calls of the internal service. */
  readonly nodeAuth: Interceptor;
}

/**
 * Registers every service, each behind its own authorisation.
 *
 * @throws INTERNAL when a public RPC has no entry in the table of permissions.
 */
export function createRoutes(deps: RouterDeps): (router: ConnectRouter) => void {
  assertEveryRpcHasAnEntry(PUBLIC_SERVICES);
  // The outermost first: what is logged and counted is what callers saw, and nobody unknown gets as far as validation.
  const outer = [
    createRequestLogInterceptor({ ...deps, elapsedMs: () => performance.now() }),
    createErrorInterceptor(deps.log),
  ];
  const validation = createValidationInterceptor();
  const forUsers = { interceptors: [...outer, deps.userAuth, validation] };
  const forNodes = { interceptors: [...outer, deps.nodeAuth, validation] };
  return (router) => {
    router
      .service(AlertsService, createAlertsService(deps), forUsers)
      .service(DeploymentsService, createDeploymentsService(deps), forUsers)
      .service(GitService, createGitService(deps), forUsers)
      .service(IdentityService, createIdentityService(deps), forUsers)
      .service(KeysService, createKeysService(deps), forUsers)
      .service(LogsService, createLogsService(deps), forUsers)
      .service(MetricsService, deps.metrics, forUsers)
      .service(NodesService, createNodesService(deps), forUsers)
      .service(OperationsService, createOperationsService(deps), forUsers)
      .service(OrganizationsService, createOrganizationsService(deps), forUsers)
      .service(PlacementService, createPlacementService(deps), forUsers)
      .service(ProjectsService, createProjectsService(deps), forUsers)
      .service(RegistriesService, createRegistriesService(deps), forUsers)
      .service(ReplicasService, createReplicasService(deps), forUsers)
      .service(RetentionService, createRetentionService(deps), forUsers)
      .service(RoutesService, createRoutesService(deps), forUsers)
      .service(SourcesService, createSourcesService(deps), forUsers)
      .service(UsageService, createUsageService(deps), forUsers)
      .service(VolumesService, createVolumesService(deps), forUsers)
      .service(WebhooksService, createWebhooksService(deps), forUsers)
      .service(ControlService, createControlService(deps), forNodes);
  };
}
