import { MethodOptions_IdempotencyLevel } from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
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
import { assertEveryRpcHasAnEntry } from './permission-coverage.ts';
import { PERMISSIONS } from './permissions.ts';
import { isAllowed, leastRole, type Permission, ROLE_PERMISSIONS, ROLES, toRole } from './roles.ts';

const SERVICES = [
  AlertsService,
  DeploymentsService,
  GitService,
  IdentityService,
  KeysService,
  LogsService,
  MetricsService,
  NodesService,
  PlacementService,
  OperationsService,
  OrganizationsService,
  ProjectsService,
  RegistriesService,
  ReplicasService,
  RetentionService,
  RoutesService,
  SourcesService,
  UsageService,
  VolumesService,
  WebhooksService,
];

describe('the table of permissions', () => {
  it('covers every rpc of the contract with every id of its request', () => {
    expect(() => assertEveryRpcHasAnEntry(SERVICES)).not.toThrow();
  });

  it('names no rpc that the contract does not have', () => {
    const rpcs = SERVICES.flatMap(({ typeName, methods }) => methods.map(({ name }) => `${typeName}/${name}`));
    expect(Object.keys(PERMISSIONS).sort()).toEqual(rpcs.sort());
  });

  it.each(Object.keys(PERMISSIONS))('refuses to start without an entry for %s', (rpc) => {
    const { [rpc]: _, ...others } = PERMISSIONS;
    expect(() => assertEveryRpcHasAnEntry(SERVICES, others)).toThrow(`${rpc} has no entry`);
  });

  it('refuses an entry that leaves an id of the request unchecked', () => {
    const rpc = 'obiente.cloud.v1.DeploymentsService/ListDeployments';
    const policy = { permission: 'deployment.read', resource: { kind: 'organization', field: 'organization_id' } };
    const table = { ...PERMISSIONS, [rpc]: policy } as typeof PERMISSIONS;
    expect(() => assertEveryRpcHasAnEntry(SERVICES, table)).toThrow(`${rpc} does not check project_id`);
  });

  it('refuses an entry whose field the request does not have', () => {
    const rpc = 'obiente.cloud.v1.ProjectsService/GetProject';
    const policy = { permission: 'project.read', resource: { kind: 'project', field: 'id' } };
    const table = { ...PERMISSIONS, [rpc]: policy } as typeof PERMISSIONS;
    expect(() => assertEveryRpcHasAnEntry(SERVICES, table)).toThrow(`${rpc} has no field id`);
  });

  it('leaves to operators of the platform only what concerns no organization alone', () => {
    const ofOperators = Object.entries(PERMISSIONS).filter(([, { resource }]) => resource.kind === 'platform');
    const changesOfNodes = NodesService.methods.filter(
      ({ idempotency }) => idempotency !== MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS,
    );
    const wanted = [
      ...[...RetentionService.methods, ...KeysService.methods, ...changesOfNodes],
      // Alerts of nodes are the platform's.
      AlertsService.method.setPlatformTarget,
      // What is kept for longer takes the platform's disks.
      UsageService.method.setMetricsRetention,
      UsageService.method.resetMetricsRetention,
      // What runs on a node belongs to many organizations.
      PlacementService.method.simulateNodeLoss,
      PlacementService.method.planRebalance,
      PlacementService.method.applyRebalance,
      PlacementService.method.stopRebalance,
      PlacementService.method.watchRebalance,
      NodesService.method.watchDrain,
      NodesService.method.listNodeTokens,
      // Hosts that are no nodes are nobody's but theirs.
      NodesService.method.listSwarmNodes,
      // Nor is it known whose a stranger is.
      ReplicasService.method.listStrangers,
    ];
    expect(ofOperators.map(([rpc]) => rpc).toSorted()).toEqual(
      wanted.map(({ parent, name }) => `${parent.typeName}/${name}`).toSorted(),
    );
  });

  it('lets operators look beyond their organizations only where replicas and alerts are, and what they set', () => {
    const open = Object.entries(PERMISSIONS).filter(([, policy]) => 'orOperators' in policy);
    expect(open.map(([rpc]) => rpc).toSorted()).toEqual([
      'obiente.cloud.v1.AlertsService/CreateSilence',
      'obiente.cloud.v1.AlertsService/DeleteSilence',
      'obiente.cloud.v1.AlertsService/ListAlerts',
      'obiente.cloud.v1.AlertsService/ListSilences',
      'obiente.cloud.v1.AlertsService/WatchAlerts',
      'obiente.cloud.v1.ReplicasService/ListReplicas',
      'obiente.cloud.v1.ReplicasService/WatchReplicas',
      'obiente.cloud.v1.UsageService/GetMetricsRetention',
    ]);
  });

  it('does not find an entry in what every object inherits', () => {
    const service = { typeName: 'x', methods: [{ name: 'y', input: { fields: [] } }] };
    expect(() => assertEveryRpcHasAnEntry([service], Object.create({ 'x/y': PERMISSIONS[''] }))).toThrow('x/y');
  });
});

describe('roles', () => {
  const permissions = [...ROLE_PERMISSIONS.owner];

  it('are in order: whoever is above may do all that is allowed below', () => {
    const anyPermission = fc.constantFrom(...permissions);
    fc.assert(
      fc.property(anyPermission, (permission) => {
        const least = ROLES.indexOf(leastRole(permission));
        ROLES.forEach((role, rank) => {
          expect(isAllowed(role, permission)).toBe(rank <= least);
        });
      }),
    );
  });

  it.each<[Permission]>([['deployment.exec'], ['deployment.update'], ['deployment.delete'], ['project.create']])(
    'give a viewer nothing that changes anything: %s',
    (permission) => {
      expect(isAllowed('viewer', permission)).toBe(false);
    },
  );

  it('are read from outside strictly', () => {
    expect(toRole('admin')).toBe('admin');
    for (const wrong of ['Admin', 'constructor', '', undefined, ['owner'], 0]) expect(toRole(wrong)).toBeUndefined();
  });
});
