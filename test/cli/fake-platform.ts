import { createServer, type ServerHttp2Session } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { create, type DescMessage, type MessageInitShape, type MessageShape } from '@bufbuild/protobuf';
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import {
  type Deployment,
  DeploymentSchema,
  DeploymentStatus,
  DeploymentsService,
  type Operation,
  OperationKind,
  OperationSchema,
  OperationState,
  type WatchDeploymentResponseSchema,
} from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { GitCredentialKind, GitService } from '../../gen/obiente/cloud/v1/git_pb.ts';
import { IdentityService } from '../../gen/obiente/cloud/v1/identity_pb.ts';
import {
  GetKeysResponseSchema,
  KeysService,
  type RotationSchema,
  RotationState,
} from '../../gen/obiente/cloud/v1/keys_pb.ts';
import {
  type BuildLogLineSchema,
  type FailureLogSchema,
  LogsService,
  type StreamLogsResponseSchema,
} from '../../gen/obiente/cloud/v1/logs_pb.ts';
import {
  type ContainerSampleSchema,
  MetricsService,
  type QueryMetricsResponseSchema,
} from '../../gen/obiente/cloud/v1/metrics_pb.ts';
import {
  type DrainSchema,
  DrainState,
  NodeState,
  NodesService,
  NodeTokenState,
} from '../../gen/obiente/cloud/v1/nodes_pb.ts';
import { OperationsService } from '../../gen/obiente/cloud/v1/operations_pb.ts';
import { OrganizationsService } from '../../gen/obiente/cloud/v1/organizations_pb.ts';
import {
  PlacementService,
  type PlanRebalanceResponseSchema,
  type RebalanceSchema,
  RebalanceState,
} from '../../gen/obiente/cloud/v1/placement_pb.ts';
import { ProjectsService } from '../../gen/obiente/cloud/v1/projects_pb.ts';
import { RegistriesService, type RegistryCredential } from '../../gen/obiente/cloud/v1/registries_pb.ts';
import {
  type LocatedReplicaSchema,
  ReplicasService,
  StrangerKind,
  type WatchReplicasResponseSchema,
} from '../../gen/obiente/cloud/v1/replicas_pb.ts';
import { ErrorDetailSchema } from '../../gen/obiente/cloud/v1/resources_pb.ts';
import { RetentionService, RetentionState } from '../../gen/obiente/cloud/v1/retention_pb.ts';
import { RoutesService } from '../../gen/obiente/cloud/v1/routes_pb.ts';
import { SourcesService } from '../../gen/obiente/cloud/v1/sources_pb.ts';
import {
  type GetUsageResponseSchema,
  type MetricsRetentionSchema,
  UsageService,
} from '../../gen/obiente/cloud/v1/usage_pb.ts';
import { type Webhook, WebhookSchema, WebhooksService } from '../../gen/obiente/cloud/v1/webhooks_pb.ts';
import { readUpload } from './read-upload.ts';

export const TOKEN = 'a-good-token';
export const ORGANIZATION_ID = '11111111-1111-4111-8111-111111111111';

/** A swarm of three hosts, of which one has no node, and one that has left it. */
const SWARM_NODES = [
  {
    ...{ swarmNodeId: 'a'.repeat(25), hostname: 'rack-1', role: 'manager', availability: 'active', state: 'ready' },
    ...{ address: '10.0.0.1', node: { id: 'node-rack-1', state: NodeState.READY } },
  },
  {
    ...{ swarmNodeId: 'b'.repeat(25), hostname: 'rack-2', role: 'worker', availability: 'drain', state: 'ready' },
    ...{ address: '10.0.0.2', node: { id: 'node-rack-2', state: NodeState.DEGRADED } },
    reason: 'its availability in the swarm is drain',
  },
  {
    ...{ swarmNodeId: 'c'.repeat(25), hostname: 'rack-3', role: 'worker', availability: 'active', state: 'ready' },
    address: '10.0.0.3',
  },
  {
    ...{ swarmNodeId: 'd'.repeat(25), hostname: 'rack-4', state: 'left', reason: 'this host is in no swarm' },
    node: { id: 'node-rack-4', state: NodeState.DEGRADED },
  },
];

/** A join token that nobody has used. */
const NODE_TOKEN = {
  ...{ id: '22222222-2222-4222-8222-222222222222', state: NodeTokenState.VALID, usedByNodeId: '' },
  createdByUserId: ORGANIZATION_ID,
};

/** A step of an operation, as the watch tells it. */
export interface Step {
  readonly kind: string;
  readonly message: string;
}

/** How the platform behaves; a test changes it before it runs a command. */
export interface Behaviour {
  /** Steps of each operation before its last one. */
  steps: Step[];
  /** Set: operations fail like this. */
  failure: { code: string; message: string; hint: string } | undefined;
  /** Whether operations end at all. */
  hangs: boolean;
  logs: MessageInitShape<typeof StreamLogsResponseSchema>[];
  /** What a build prints; the numbers are theirs. */
  buildLog: MessageInitShape<typeof BuildLogLineSchema>[];
  /** Newest first. */
  failureLogs: MessageInitShape<typeof FailureLogSchema>[];
  samples: MessageInitShape<typeof ContainerSampleSchema>[];
  /** What a query of metrics answers. */
  course: MessageInitShape<typeof QueryMetricsResponseSchema>;
  /** What was used. */
  usage: MessageInitShape<typeof GetUsageResponseSchema>;
  metricsRetention: MessageInitShape<typeof MetricsRetentionSchema>;
  replicas: MessageInitShape<typeof LocatedReplicaSchema>[];
  /** What a watch of replicas tells, message by message. */
  replicaChanges: MessageInitShape<typeof WatchReplicasResponseSchema>[];
  /** How often a run of retention is not over yet when it is asked for, and how it ends. */
  retention: { waits: number; error: string; attended: boolean };
  keys: MessageInitShape<typeof GetKeysResponseSchema>;
  /** What would fill the nodes more evenly. */
  rebalance: MessageInitShape<typeof PlanRebalanceResponseSchema>;
  /** How its being carried out ends. */
  rebalanced: MessageInitShape<typeof RebalanceSchema>;
  /** How the emptying of a node ends. */
  drained: MessageInitShape<typeof DrainSchema>;
  /** How a rotation goes, message by message. */
  rotation: MessageInitShape<typeof RotationSchema>[];
  /** Called before each message of a stream; may throw or cut connections. */
  beforeMessage: (sent: number) => void;
  /** Called before each call. */
  beforeCall: (method: string) => void;
}

const OPERATIONS_WITHOUT_REVISION: ReadonlySet<OperationKind> = new Set([
  OperationKind.DELETE,
  OperationKind.SCALE,
  OperationKind.RESTART,
]);

/** A container that no record owned. */
const RETENTION_ORPHAN = {
  ...{ nodeId: 'n1', kind: 'container', id: 'c'.repeat(64), name: 'obiente-x-r1-0' },
  ...{ outcome: 'spared', reason: 'a record has come for it' },
};

const RETENTION_ITEMS = [
  { kind: 'revisions', nodeId: '', reason: '', count: 3n, bytes: 12_288n },
  { kind: 'images', nodeId: 'n1', reason: '', count: 2n },
  { kind: 'images', nodeId: 'n1', reason: 'needed by a revision that stays', count: 4n },
  { kind: 'images', nodeId: 'n1', reason: 'used', count: 1n },
];

const uuid = (index: number): string => `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`;

/** Starts an API that keeps everything in memory, on a real HTTP/2 socket. */
export async function startFakePlatform() {
  const behaviour: Behaviour = {
    steps: [{ kind: 'replica.healthy', message: 'replica r1-0 is healthy' }],
    failure: undefined,
    hangs: false,
    logs: [],
    buildLog: [],
    failureLogs: [],
    samples: [],
    course: {},
    usage: {},
    metricsRetention: {},
    replicas: [],
    replicaChanges: [],
    retention: { waits: 0, error: '', attended: false },
    keys: {},
    rebalance: {},
    rebalanced: {},
    drained: {},
    rotation: [{ state: RotationState.RUNNING }, { state: RotationState.SUCCEEDED }],
    beforeMessage: () => undefined,
    beforeCall: () => undefined,
  };
  const deployments = new Map<string, Deployment>();
  const projects: { id: string; organizationId: string; name: string }[] = [];
  const credentials = new Map<string, Pick<RegistryCredential, 'id' | 'host' | 'username' | 'fingerprint'>>();
  let webhook: Webhook | undefined;
  const answered = new Map<string, Deployment>();
  const calls: { method: string; request: unknown }[] = [];
  const sessions = new Set<ServerHttp2Session>();
  const operations = new Map<string, Operation>();
  const runs: { id: string; dryRun: boolean; state: RetentionState }[] = [];
  let made = 0;

  function note(request: unknown, { method, requestHeader }: HandlerContext): void {
    calls.push({ method: method.name, request });
    behaviour.beforeCall(method.name);
    if (requestHeader.get('authorization') === `Bearer ${TOKEN}`) return;
    throw new ConnectError('the token is not valid', Code.Unauthenticated);
  }

  function begin(deployment: Deployment, kind: OperationKind, reason = ''): Operation {
    made += 1;
    const operation = create(OperationSchema, {
      id: uuid(made),
      kind,
      state: OperationState.RUNNING,
      deploymentId: deployment.id,
      revision: OPERATIONS_WITHOUT_REVISION.has(kind) ? 0 : deployment.revision,
      reason,
    });
    operations.set(operation.id, operation);
    deployment.operation = operation;
    return operation;
  }

  function end(deployment: Deployment): Step {
    const { operation } = deployment;
    if (operation === undefined) throw new Error('nothing is under way');
    if (behaviour.failure !== undefined) {
      operation.state = OperationState.FAILED;
      operation.errorCode = behaviour.failure.code;
      operation.errorMessage = behaviour.failure.message;
      operation.errorHint = behaviour.failure.hint;
      return { kind: 'operation.failed', message: behaviour.failure.message };
    }
    operation.state = OperationState.SUCCEEDED;
    deployment.status = DeploymentStatus.RUNNING;
    if (operation.kind === OperationKind.DELETE) deployments.delete(deployment.id);
    return { kind: 'operation.succeeded', message: 'done' };
  }

  function get(id: string): Deployment {
    const found = deployments.get(id);
    if (found !== undefined) return found;
    throw new ConnectError('deployment not found', Code.NotFound, undefined, [
      { desc: ErrorDetailSchema, value: { code: 'NOT_FOUND', hint: 'Look again.' } },
    ]);
  }

  async function* watch(
    { deploymentId, afterSequence }: { deploymentId: string; afterSequence: bigint },
    signal: AbortSignal,
  ): AsyncGenerator<MessageInitShape<typeof WatchDeploymentResponseSchema>> {
    const deployment = get(deploymentId);
    const operationId = deployment.operation?.id ?? '';
    const total = behaviour.steps.length + 1;
    for (let sequence = Number(afterSequence) + 1; sequence <= total; sequence += 1) {
      behaviour.beforeMessage(sequence);
      if (sequence === total && behaviour.hangs) await untilAborted(signal);
      const step = behaviour.steps[sequence - 1] ?? end(deployment);
      yield { sequence: BigInt(sequence), event: { ...step, operationId }, deployment };
    }
  }

  const routes = (router: ConnectRouter): void => {
    router.service(OrganizationsService, {
      listOrganizations: (request, context) => {
        note(request, context);
        return { organizations: [{ id: ORGANIZATION_ID, name: 'personal' }] };
      },
    });
    router.service(ProjectsService, {
      listProjects: (request, context) => {
        note(request, context);
        return { projects };
      },
      createProject: (request, context) => {
        note(request, context);
        made += 1;
        const project = { id: uuid(made), organizationId: request.organizationId, name: request.name };
        projects.push(project);
        return { project };
      },
    });
    router.service(DeploymentsService, {
      createDeployment: (request, context) => {
        note(request, context);
        const before = answered.get(request.idempotencyKey);
        if (before !== undefined) return { deployment: before };
        if ([...deployments.values()].some(({ name }) => name === request.name)) {
          throw new ConnectError(`the name ${request.name} is taken`, Code.AlreadyExists);
        }
        made += 1;
        const deployment = create(DeploymentSchema, {
          id: uuid(made),
          organizationId: ORGANIZATION_ID,
          projectId: request.projectId,
          name: request.name,
          status: DeploymentStatus.DEPLOYING,
          revision: 1,
          ...(request.spec === undefined ? {} : { spec: request.spec }),
          urls: request.spec?.port === undefined ? [] : [`http://${request.name}.localhost:8080`],
        });
        begin(deployment, OperationKind.DEPLOY);
        deployments.set(deployment.id, deployment);
        answered.set(request.idempotencyKey, deployment);
        return { deployment };
      },
      updateDeployment: (request, context) => {
        note(request, context);
        const deployment = get(request.deploymentId);
        deployment.revision += 1;
        if (request.spec !== undefined) deployment.spec = request.spec;
        begin(deployment, OperationKind.DEPLOY);
        return { deployment };
      },
      getDeployment: (request, context) => {
        note(request, context);
        return { deployment: get(request.deploymentId) };
      },
      listDeployments: (request, context) => {
        note(request, context);
        const all = [...deployments.values()].filter(({ name }) => request.name === '' || request.name === name);
        return { deployments: all };
      },
      deleteDeployment: (request, context) => {
        note(request, context);
        return { operation: begin(get(request.deploymentId), OperationKind.DELETE, request.reason) };
      },
      scaleDeployment: (request, context) => {
        note(request, context);
        const operation = begin(get(request.deploymentId), OperationKind.SCALE, request.reason);
        return { operation: Object.assign(operation, { scaleService: 'app', scaleReplicas: request.replicas }) };
      },
      restartDeployment: (request, context) => {
        note(request, context);
        return { operation: begin(get(request.deploymentId), OperationKind.RESTART, request.reason) };
      },
      moveDeployment: (request, context) => {
        note(request, context);
        return { operation: begin(get(request.deploymentId), OperationKind.MOVE, request.reason) };
      },
      rollbackDeployment: (request, context) => {
        note(request, context);
        return { operation: begin(get(request.deploymentId), OperationKind.ROLLBACK, request.reason) };
      },
      listRevisions: (request, context) => {
        note(request, context);
        const spec = (port: number) => ({ port, source: { case: 'image', value: { reference: 'nginx:1' } } }) as const;
        return {
          revisions: [
            { number: 2, spec: spec(81) },
            { number: 1, spec: spec(80) },
          ],
        };
      },
      watchDeployment: async function* watchDeployment(request, context) {
        note(request, context);
        yield* watch(request, context.signal);
      },
    });
    router.service(OperationsService, {
      getOperation: (request, context) => {
        note(request, context);
        const operation = operations.get(request.operationId);
        if (operation === undefined) throw new ConnectError('operation not found', Code.NotFound);
        return { operation, steps: behaviour.steps };
      },
      listOperations: (request, context) => {
        note(request, context);
        return { operations: [...operations.values()].reverse() };
      },
      cancelOperation: (request, context) => {
        note(request, context);
        const operation = operations.get(request.operationId);
        if (operation === undefined) throw new ConnectError('operation not found', Code.NotFound);
        return { operation };
      },
    });
    router.service(LogsService, {
      streamLogs: async function* streamLogs(request, context) {
        note(request, context);
        for (const [index, message] of behaviour.logs.entries()) {
          if (index < Number(request.cursor || 0)) continue;
          behaviour.beforeMessage(index + 1);
          yield { ...message, cursor: String(index + 1) };
        }
      },
      listFailureLogs: (request, context) => {
        note(request, context);
        return { logs: behaviour.failureLogs };
      },
      streamBuildLogs: async function* streamBuildLogs(request, context) {
        note(request, context);
        if (behaviour.buildLog.length === 0) throw new ConnectError('build not found', Code.NotFound);
        yield {};
        for (const [index, line] of behaviour.buildLog.entries()) {
          if ((line.number ?? 0n) <= request.after) continue;
          behaviour.beforeMessage(index + 1);
          yield { line };
        }
      },
    });
    router.service(MetricsService, {
      getLatestMetrics: (request, context) => {
        note(request, context);
        return { samples: behaviour.samples };
      },
      streamMetrics: async function* streamMetrics(request, context) {
        note(request, context);
        yield { samples: behaviour.samples };
      },
      queryMetrics: (request, context) => {
        note(request, context);
        return behaviour.course;
      },
    });
    router.service(ReplicasService, {
      listReplicas: (request, context) => {
        note(request, context);
        return { replicas: behaviour.replicas };
      },
      listStrangers: (request, context) => {
        note(request, context);
        const stranger = { containerId: 'f'.repeat(64), name: 'mine', kind: StrangerKind.FORGED, reason: 'its name' };
        return { strangers: [{ ...stranger, nodeId: request.nodeId || 'node-0000000a' }] };
      },
      watchReplicas: async function* watchReplicas(request, context) {
        note(request, context);
        for (const [index, message] of behaviour.replicaChanges.entries()) {
          behaviour.beforeMessage(index + 1);
          yield message;
        }
      },
    });
    router.service(UsageService, {
      getUsage: (request, context) => {
        note(request, context);
        return behaviour.usage;
      },
      getMetricsRetention: (request, context) => {
        note(request, context);
        return { retention: behaviour.metricsRetention };
      },
      setMetricsRetention: (request, context) => {
        note(request, context);
        return { retention: behaviour.metricsRetention };
      },
      resetMetricsRetention: (request, context) => {
        note(request, context);
        return { retention: behaviour.metricsRetention };
      },
    });
    router.service(NodesService, {
      drainNode: (request, context) => {
        note(request, context);
        return { drain: { ...behaviour.drained, nodeId: request.nodeId, state: DrainState.RUNNING } };
      },
      async *watchDrain({ nodeId }) {
        yield { drain: { ...behaviour.drained, nodeId, state: DrainState.RUNNING } };
        yield {};
        yield { drain: { ...behaviour.drained, nodeId } };
      },
      listSwarmNodes: () => ({ nodes: SWARM_NODES }),
      createNodeToken: (request, context) => {
        note(request, context);
        return { token: 'obn_secret', record: NODE_TOKEN };
      },
      listNodeTokens: () => ({ tokens: [NODE_TOKEN] }),
      revokeNodeToken: (request, context) => {
        note(request, context);
        return { record: { ...NODE_TOKEN, state: NodeTokenState.REVOKED } };
      },
      removeNode: (request, context) => {
        note(request, context);
        return {};
      },
      listNodes: (request, context) => {
        note(request, context);
        const second = request.page?.token === 'second';
        const node = {
          id: second ? 'n2' : 'n1',
          hostname: 'host',
          state: NodeState.READY,
          cpuCores: 2,
          memoryBytes: 8_589_934_592n,
        };
        return { nodes: [node], page: { nextToken: second ? '' : 'second' } };
      },
    });
    router.service(PlacementService, {
      planRebalance: (request, context) => {
        note(request, context);
        return behaviour.rebalance;
      },
      applyRebalance: (request, context) => {
        note(request, context);
        if (!behaviour.rebalance.moves) return { plan: behaviour.rebalance };
        return { plan: behaviour.rebalance, rebalance: { ...behaviour.rebalanced, state: RebalanceState.RUNNING } };
      },
      async *watchRebalance() {
        yield { rebalance: { ...behaviour.rebalanced, state: RebalanceState.RUNNING } };
        yield {};
        yield { rebalance: { ...behaviour.rebalanced, state: RebalanceState.DONE } };
      },
      stopRebalance: (request, context) => {
        note(request, context);
        return { rebalance: { ...behaviour.rebalanced, state: RebalanceState.STOPPED } };
      },
    });
    router.service(RoutesService, {
      listRoutes: (request, context) => {
        note(request, context);
        return { routes: [] };
      },
    });
    router.service(RegistriesService, {
      setRegistryCredential: (request, context) => {
        note(request, context);
        made += 1;
        const { host, username } = request;
        const credential = { id: uuid(made), host, username, fingerprint: '0123456789ab' };
        credentials.set(host, credential);
        return { credential };
      },
      listRegistryCredentials: (request, context) => {
        note(request, context);
        return { credentials: [...credentials.values()] };
      },
      deleteRegistryCredential: (request, context) => {
        note(request, context);
        if (!credentials.delete(request.host)) throw new ConnectError('registry credential not found', Code.NotFound);
        return {};
      },
    });
    router.service(GitService, {
      setGitCredential: (request, context) => {
        note(request, context);
        const { target, secret } = request;
        const isKey = secret.case === 'ssh';
        const kind = isKey ? GitCredentialKind.SSH : GitCredentialKind.HTTPS;
        const publicKey = isKey ? 'ssh-ed25519 AAAA obiente' : '';
        const username = secret.case === 'https' ? secret.value.username : '';
        return { credential: { id: uuid(1), target, kind, username, publicKey, fingerprint: '0123456789ab' } };
      },
      deleteGitCredential: (request, context) => {
        note(request, context);
        return {};
      },
    });
    router.service(WebhooksService, {
      getWebhook: (request, context) => {
        note(request, context);
        if (webhook === undefined) throw new ConnectError('webhook not found', Code.NotFound);
        return { webhook };
      },
      createWebhook: (request, context) => {
        note(request, context);
        const { deploymentId } = request;
        webhook = create(WebhookSchema, { id: uuid(7), deploymentId, path: `/webhooks/${uuid(7)}` });
        return { webhook, secret: 'the-secret' };
      },
      rotateWebhook: (request, context) => {
        note(request, context);
        return webhook === undefined ? {} : { webhook, secret: 'another-secret' };
      },
      deleteWebhook: (request, context) => {
        note(request, context);
        webhook = undefined;
        return {};
      },
    });
    router.service(RetentionService, {
      runRetention: (request, context) => {
        note(request, context);
        made += 1;
        const { dryRun, nodeId } = request;
        const run = { id: uuid(made), dryRun, nodeId, state: RetentionState.RUNNING };
        runs.unshift(run);
        return { run, attended: behaviour.retention.attended };
      },
      getRetentionRun: ({ runId, ...request }, context) => {
        note(request, context);
        const run = runs.find(({ id }) => id === runId);
        const { error: errorMessage } = behaviour.retention;
        if (run === undefined) throw new ConnectError('run not found', Code.NotFound);
        if (behaviour.retention.waits-- > 0) return { run };
        Object.assign(run, {
          state: errorMessage === '' ? RetentionState.SUCCEEDED : RetentionState.FAILED,
          errorMessage,
        });
        return { run, items: RETENTION_ITEMS, orphans: [RETENTION_ORPHAN] };
      },
      listRetentionRuns: (request, context) => {
        note(request, context);
        return { runs };
      },
    });
    router.service(KeysService, {
      getKeys: (request, context) => {
        note(request, context);
        return create(GetKeysResponseSchema, behaviour.keys);
      },
      rotateMasterKey: (request, context) => {
        note(request, context);
        return { rotation: { id: uuid(1), masterKeyId: 'a1b2c3d4', state: RotationState.RUNNING } };
      },
      watchRotation: async function* watchRotation(request, context) {
        note(request, context);
        for (const [index, rotation] of behaviour.rotation.entries()) {
          behaviour.beforeMessage(index + 1);
          yield { rotation: { id: uuid(1), masterKeyId: 'a1b2c3d4', ...rotation } };
          yield {};
        }
      },
      renewDataKey: (request, context) => {
        note(request, context);
        return { version: 2 };
      },
    });
    router.service(IdentityService, {
      whoAmI: (request, context) => {
        note(request, context);
        return { userId: uuid(1), subject: 'dev', email: 'dev@localhost' };
      },
    });
    router.service(SourcesService, {
      uploadContext: async (requests, context) => {
        note({}, context);
        return await readUpload(requests);
      },
    });
  };

  const server = createServer({}, connectNodeAdapter({ routes }));
  server.on('session', (session) => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    behaviour,
    deployments,
    calls,
    callsOf: (method: string) => calls.filter((call) => call.method === method),
    /** The requests of a method, in order. */
    requestsOf: <Desc extends DescMessage>(method: string, _schema: Desc): MessageShape<Desc>[] =>
      calls.filter((call) => call.method === method).map(({ request }) => request as MessageShape<Desc>),
    /** Cuts every connection, as a killed process does. */
    cutConnections: () => {
      for (const session of sessions) session.destroy();
    },
    stop: async () => {
      for (const session of sessions) session.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  await new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(new ConnectError('the caller left', Code.Canceled)), { once: true });
  });
}
