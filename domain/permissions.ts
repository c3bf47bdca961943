import type { Permission } from './roles.ts';

/** Kinds of resources that belong to an organization, whose own organization decides about a call. */
export type OwnedKind = 'organization' | 'project' | 'deployment' | 'operation';

/**
 * Where a request names a resource: the path of proto names to a field that holds its id. For a stream of requests
 * the first message must hold it.
 */
export interface OwnedReference {
  readonly kind: OwnedKind;
  readonly field: string;
}

/**
 * What an RPC demands.
 *
 * `permission` null: being signed in is enough, for calls that concern nobody's organization or the caller alone; with
 * the kind `platform` the caller must be an operator of the platform, who may name any organization.
 * `filters` are further ids of the request: when set, each must belong to the same organization as `resource`. With
 * `orOperators` an operator of the platform may name any organization, or none, which means all of them.
 */
export type RpcPolicy =
  | { readonly permission: null; readonly resource: { readonly kind: 'none' | 'platform' } }
  | {
      readonly permission: Permission;
      readonly resource: OwnedReference;
      readonly filters?: readonly OwnedReference[];
      readonly orOperators?: true;
    };

const SIGNED_IN: RpcPolicy = { permission: null, resource: { kind: 'none' } };

const OPERATORS: RpcPolicy = { permission: null, resource: { kind: 'platform' } };

function inOrganization(permission: Permission, field = 'organization_id'): RpcPolicy {
  return { permission, resource: { kind: 'organization', field } };
}

function inProject(permission: Permission): RpcPolicy {
  return { permission, resource: { kind: 'project', field: 'project_id' } };
}

function ofDeployment(permission: Permission): RpcPolicy {
  return { permission, resource: { kind: 'deployment', field: 'deployment_id' } };
}

function ofOperation(permission: Permission): RpcPolicy {
  return { permission, resource: { kind: 'operation', field: 'operation_id' } };
}

/** Of one organization; for operators of any, or of all and of the platform itself. */
function forOperatorsToo(permission: Permission, ...more: readonly string[]): RpcPolicy {
  return {
    ...{ permission, resource: { kind: 'organization', field: 'organization_id' }, orOperators: true },
    filters: more.map((field) => ({ kind: 'deployment', field })),
  };
}

/** Where replicas are, of one organization or of all. */
const LOCATIONS = forOperatorsToo('deployment.read', 'deployment_id');

/** What each RPC of the public contract demands, by `<service>/<method>`. The only place where this is said. */
export const PERMISSIONS: Readonly<Record<string, RpcPolicy>> = {
  'obiente.cloud.v1.IdentityService/WhoAmI': SIGNED_IN,

  'obiente.cloud.v1.OrganizationsService/CreateOrganization': SIGNED_IN,
  'obiente.cloud.v1.OrganizationsService/GetOrganization': inOrganization('organization.read'),
  'obiente.cloud.v1.OrganizationsService/ListOrganizations': SIGNED_IN,

  'obiente.cloud.v1.ProjectsService/CreateProject': inOrganization('project.create'),
  'obiente.cloud.v1.ProjectsService/GetProject': inProject('project.read'),
  'obiente.cloud.v1.ProjectsService/ListProjects': inOrganization('project.read'),
  'obiente.cloud.v1.ProjectsService/DeleteProject': inProject('project.delete'),

  'obiente.cloud.v1.RegistriesService/SetRegistryCredential': inOrganization('registry.manage'),
  'obiente.cloud.v1.RegistriesService/ListRegistryCredentials': inOrganization('registry.read'),
  'obiente.cloud.v1.RegistriesService/DeleteRegistryCredential': inOrganization('registry.manage'),

  'obiente.cloud.v1.VolumesService/CreateVolume': inProject('volume.create'),
  'obiente.cloud.v1.VolumesService/GetVolume': inProject('volume.read'),
  'obiente.cloud.v1.VolumesService/ListVolumes': {
    permission: 'volume.read',
    resource: { kind: 'organization', field: 'organization_id' },
    filters: [{ kind: 'project', field: 'project_id' }],
  },
  'obiente.cloud.v1.VolumesService/DeleteVolume': inProject('volume.delete'),
  'obiente.cloud.v1.VolumesService/CreateSnapshot': inProject('volume.create'),
  'obiente.cloud.v1.VolumesService/ListSnapshots': inProject('volume.read'),
  'obiente.cloud.v1.VolumesService/RestoreSnapshot': inProject('volume.create'),
  'obiente.cloud.v1.VolumesService/DeleteSnapshot': inProject('volume.delete'),
  'obiente.cloud.v1.GitService/SetGitCredential': inOrganization('git.manage'),
  'obiente.cloud.v1.GitService/ListGitCredentials': inOrganization('git.read'),
  'obiente.cloud.v1.GitService/DeleteGitCredential': inOrganization('git.manage'),

  'obiente.cloud.v1.DeploymentsService/CreateDeployment': inProject('deployment.create'),
  'obiente.cloud.v1.DeploymentsService/GetDeployment': ofDeployment('deployment.read'),
  'obiente.cloud.v1.DeploymentsService/ListDeployments': {
    permission: 'deployment.read',
    resource: { kind: 'organization', field: 'organization_id' },
    filters: [{ kind: 'project', field: 'project_id' }],
  },
  'obiente.cloud.v1.DeploymentsService/UpdateDeployment': ofDeployment('deployment.update'),
  'obiente.cloud.v1.DeploymentsService/DeleteDeployment': ofDeployment('deployment.delete'),
  'obiente.cloud.v1.DeploymentsService/WatchDeployment': ofDeployment('deployment.read'),
  'obiente.cloud.v1.DeploymentsService/ScaleDeployment': ofDeployment('deployment.scale'),
  'obiente.cloud.v1.DeploymentsService/RestartDeployment': ofDeployment('deployment.restart'),
  'obiente.cloud.v1.DeploymentsService/MoveDeployment': ofDeployment('deployment.restart'),
  'obiente.cloud.v1.DeploymentsService/StopDeployment': ofDeployment('deployment.stop'),
  'obiente.cloud.v1.DeploymentsService/StartDeployment': ofDeployment('deployment.start'),
  'obiente.cloud.v1.DeploymentsService/RollbackDeployment': ofDeployment('deployment.deploy'),
  'obiente.cloud.v1.DeploymentsService/ListRevisions': ofDeployment('deployment.read'),

  'obiente.cloud.v1.OperationsService/GetOperation': ofOperation('deployment.read'),
  'obiente.cloud.v1.OperationsService/ExportOperationHistory': ofOperation('deployment.read'),
  'obiente.cloud.v1.OperationsService/ListOperations': ofDeployment('deployment.read'),
  'obiente.cloud.v1.OperationsService/CancelOperation': ofOperation('deployment.deploy'),
  'obiente.cloud.v1.OperationsService/PauseOperation': ofOperation('deployment.deploy'),
  'obiente.cloud.v1.OperationsService/ResumeOperation': ofOperation('deployment.deploy'),
  'obiente.cloud.v1.OperationsService/ApproveOperation': ofOperation('deployment.deploy'),

  'obiente.cloud.v1.SourcesService/UploadContext': inOrganization('deployment.create', 'header.organization_id'),

  'obiente.cloud.v1.WebhooksService/CreateWebhook': ofDeployment('deployment.update'),
  'obiente.cloud.v1.WebhooksService/GetWebhook': ofDeployment('deployment.read'),
  'obiente.cloud.v1.WebhooksService/RotateWebhook': ofDeployment('deployment.update'),
  'obiente.cloud.v1.WebhooksService/DeleteWebhook': ofDeployment('deployment.update'),

  'obiente.cloud.v1.LogsService/StreamLogs': ofDeployment('deployment.logs'),
  'obiente.cloud.v1.LogsService/ListFailureLogs': ofDeployment('deployment.logs'),
  'obiente.cloud.v1.LogsService/StreamBuildLogs': ofDeployment('deployment.logs'),

  'obiente.cloud.v1.MetricsService/StreamMetrics': ofDeployment('deployment.read'),
  'obiente.cloud.v1.MetricsService/GetLatestMetrics': ofDeployment('deployment.read'),
  'obiente.cloud.v1.MetricsService/QueryMetrics': ofDeployment('deployment.read'),

  'obiente.cloud.v1.UsageService/GetUsage': inOrganization('deployment.read'),
  'obiente.cloud.v1.UsageService/GetMetricsRetention': forOperatorsToo('organization.read'),
  'obiente.cloud.v1.UsageService/SetMetricsRetention': OPERATORS,
  'obiente.cloud.v1.UsageService/ResetMetricsRetention': OPERATORS,

  'obiente.cloud.v1.NodesService/GetNode': SIGNED_IN,
  'obiente.cloud.v1.NodesService/ListNodes': SIGNED_IN,
  'obiente.cloud.v1.NodesService/CordonNode': OPERATORS,
  'obiente.cloud.v1.NodesService/UncordonNode': OPERATORS,
  'obiente.cloud.v1.NodesService/DrainNode': OPERATORS,
  'obiente.cloud.v1.NodesService/WatchDrain': OPERATORS,
  'obiente.cloud.v1.NodesService/ListSwarmNodes': OPERATORS,
  'obiente.cloud.v1.NodesService/CreateNodeToken': OPERATORS,
  'obiente.cloud.v1.NodesService/ListNodeTokens': OPERATORS,
  'obiente.cloud.v1.NodesService/RevokeNodeToken': OPERATORS,
  'obiente.cloud.v1.NodesService/RemoveNode': OPERATORS,

  'obiente.cloud.v1.PlacementService/ExplainPlacement': ofDeployment('deployment.read'),
  'obiente.cloud.v1.PlacementService/SimulateNodeLoss': OPERATORS,
  'obiente.cloud.v1.PlacementService/PlanRebalance': OPERATORS,
  'obiente.cloud.v1.PlacementService/ApplyRebalance': OPERATORS,
  'obiente.cloud.v1.PlacementService/StopRebalance': OPERATORS,
  'obiente.cloud.v1.PlacementService/WatchRebalance': OPERATORS,

  'obiente.cloud.v1.ReplicasService/ListReplicas': LOCATIONS,
  'obiente.cloud.v1.ReplicasService/WatchReplicas': LOCATIONS,
  'obiente.cloud.v1.ReplicasService/ListStrangers': OPERATORS,

  'obiente.cloud.v1.RoutesService/ListRoutes': inOrganization('deployment.read'),

  'obiente.cloud.v1.AlertsService/ListAlerts': forOperatorsToo('alert.read', 'deployment_id'),
  'obiente.cloud.v1.AlertsService/WatchAlerts': forOperatorsToo('alert.read'),
  'obiente.cloud.v1.AlertsService/ListAlertRules': ofDeployment('alert.read'),
  'obiente.cloud.v1.AlertsService/SetAlertRule': ofDeployment('alert.update'),
  'obiente.cloud.v1.AlertsService/ResetAlertRule': ofDeployment('alert.update'),
  'obiente.cloud.v1.AlertsService/CreateSilence': forOperatorsToo('alert.update', 'deployment_id'),
  'obiente.cloud.v1.AlertsService/ListSilences': forOperatorsToo('alert.read'),
  'obiente.cloud.v1.AlertsService/DeleteSilence': forOperatorsToo('alert.update'),
  'obiente.cloud.v1.AlertsService/CreateNotificationTarget': inOrganization('alert.manage'),
  'obiente.cloud.v1.AlertsService/ListNotificationTargets': inOrganization('alert.read'),
  'obiente.cloud.v1.AlertsService/DeleteNotificationTarget': inOrganization('alert.manage'),
  'obiente.cloud.v1.AlertsService/TestNotificationTarget': inOrganization('alert.manage'),
  'obiente.cloud.v1.AlertsService/SetPlatformTarget': OPERATORS,

  'obiente.cloud.v1.RetentionService/RunRetention': OPERATORS,
  'obiente.cloud.v1.RetentionService/GetRetentionRun': OPERATORS,
  'obiente.cloud.v1.RetentionService/ListRetentionRuns': OPERATORS,

  'obiente.cloud.v1.KeysService/GetKeys': OPERATORS,
  'obiente.cloud.v1.KeysService/RotateMasterKey': OPERATORS,
  'obiente.cloud.v1.KeysService/WatchRotation': OPERATORS,
  'obiente.cloud.v1.KeysService/RenewDataKey': OPERATORS,
};
