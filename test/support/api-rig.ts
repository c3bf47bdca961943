import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DescService } from '@bufbuild/protobuf';
import { type Client, createClient, createRouterTransport, type Interceptor } from '@connectrpc/connect';
import { createLog } from '../../adapters/logging/log.ts';
import { openChangeFeed } from '../../adapters/postgres/changes.ts';
import { type Database, openDatabase } from '../../adapters/postgres/database.ts';
import { createDeploymentStore } from '../../adapters/postgres/deployment-store.ts';
import { createDrainRecords } from '../../adapters/postgres/drains.ts';
import { findRotation } from '../../adapters/postgres/key-rotations.ts';
import { holdsLease } from '../../adapters/postgres/node-leases.ts';
import { createDataKeyStore } from '../../adapters/postgres/organization-keys.ts';
import { createRebalanceRecords } from '../../adapters/postgres/rebalances.ts';
import { beginRun, findRun } from '../../adapters/postgres/retention/runs.ts';
import { createKeyring, type Keyring } from '../../adapters/sealing/keyring.ts';
import { createSealing } from '../../adapters/sealing/sealing.ts';
import { openContextStore } from '../../adapters/sources/context-store.ts';
import type { RetentionGateway } from '../../adapters/temporal/retention-gateway.ts';
import type { RotationCall, WorkflowGateway } from '../../adapters/temporal/workflow-gateway.ts';
import type { MetricsReader } from '../../adapters/timescale/metrics-reader.ts';
import { createAuthInterceptor } from '../../api/auth/interceptor.ts';
import { createAdmissionCheck, createJoinTokenCheck, createNodeAuthInterceptor } from '../../api/auth/node-auth.ts';
import type { NodeLogs } from '../../api/gateways/node-logs.ts';
import type { SwarmHosts } from '../../api/gateways/swarm-hosts.ts';
import { createNoStoredUsage } from '../../api/metrics/stored-metrics.ts';
import { createRoutes } from '../../api/router.ts';
import { createApiTelemetry } from '../../api/telemetry.ts';
import { createPublicAddress } from '../../api/wire/address.ts';
import type { RotationAccepted } from '../../contracts/keys.ts';
import { retentionWorkflowId } from '../../contracts/retention.ts';
import { DomainError } from '../../domain/errors.ts';
import { DeploymentsService } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { IdentityService } from '../../gen/obiente/cloud/v1/identity_pb.ts';
import { ProjectsService } from '../../gen/obiente/cloud/v1/projects_pb.ts';
import { createIdentityStore } from '../../workers/api/authorisation.ts';
import { adminUrlOfRun } from './database.ts';
import { eventually } from './eventually.ts';
import { createTestDatabase } from './postgres.ts';
import { carryOutRotation } from './rotation.ts';

/** The user who runs the platform, in these tests. */
export const OPERATOR = 'operator';

const PAYLOAD_KEYS = createKeyring(randomBytes(32));

/** Proof of a node that it may join, in these tests. */
export const JOIN_TOKEN = 'join-token-of-these-tests';

/** What a node that joins is told. */
export const MEMBERSHIP = {
  ...{ instance: 'abcd1234', temporalAddress: 'temporal.example.test:7233', temporalNamespace: 'default' },
  ...{ payloadKeys: randomBytes(32).toString('base64'), metricsDatabaseUrl: null },
};

/** What a test can make of the rest of the platform. */
export interface RigWorld {
  /** Set to make every workflow call fail, as while the Temporal server is away. */
  workflowsAway: boolean;
  nodeLogs: NodeLogs['open'];
  swarmHosts: SwarmHosts['list'];
  /** Where usage is read; without a metrics database as long as a test gives none. */
  usage: Pick<MetricsReader, 'listMonthlyUsage'>;
}

/**
 * The API as the role `api` puts it together, in memory over a real database. Workflows store what they are asked and
 * do no more; a bearer token is the name of its user, or `node:` and the id of its node.
 */
export async function startApiRig() {
  const { url, drop } = await createTestDatabase(adminUrlOfRun());
  const log = createLog({ role: 'test', level: 'silent' });
  const db = openDatabase({ url });
  const changes = await openChangeFeed({ url, log });
  const folder = await mkdtemp(join(tmpdir(), 'obiente-api-'));
  const world: RigWorld = {
    ...{ workflowsAway: false, nodeLogs: async function* () {}, swarmHosts: async () => undefined },
    usage: createNoStoredUsage(),
  };
  const placement = { strategy: 'least-loaded', maxDeploymentsPerNode: 50 } as const;
  const store = createDeploymentStore(db, { domain: 'localhost', placement });
  const enrolled: string[] = [];
  const workflows = createFakeWorkflows(db, store, world, enrolled);
  const contexts = await openContextStore({ folder });
  const userAuth = createAuthInterceptor({
    ...{ verifier: { verify: verifyName }, store: createIdentityStore(db), operators: new Set([OPERATOR]) },
  });

  /** An API process with master keys of its own, beside the others on the same database. */
  const aProcess = (masterKeys: Keyring) => {
    const sealing = createSealing({ masterKeys, store: createDataKeyStore(db) });
    const routes = createRoutes({
      ...{ db, changes, sealing, log, telemetry: createApiTelemetry(), heartbeatMs: 50, now: () => new Date() },
      ...{ masterKeys, payloadKeys: PAYLOAD_KEYS, contexts, userAuth, publicJwks: '{"keys":[]}' },
      registries: { allowedRegistries: [] },
      git: { allowedHosts: ['git.example.test'] },
      alerts: { allowedHosts: ['hooks.example.test'] },
      deliver: async () => undefined,
      placement: { strategy: 'least-loaded', maxDeploymentsPerNode: 50, cpuOvercommit: 4 },
      address: createPublicAddress({ domain: 'localhost', httpPort: 8080, httpsPort: 8443 }),
      nodeLogs: { open: (...call) => world.nodeLogs(...call) },
      swarmHosts: { list: (...call) => world.swarmHosts(...call) },
      histories: { read: async ({ deploymentId }) => Buffer.from(`history of ${deploymentId}`) },
      retention: fakeRetention(db, world),
      workflows: { ...workflows, rotateKeys: (call) => workflows.rotateWith(masterKeys, call) },
      checkJoinToken: createJoinTokenCheck(JOIN_TOKEN),
      volumeTokens: { sign: async ({ from, to, volumeId, copy }) => `${to} may have ${volumeId}/${copy} of ${from}` },
      swarmTokens: { sign: async (claim) => JSON.stringify(claim) },
      checkAdmission: createAdmissionCheck({ verify: verifyNode }),
      membership: MEMBERSHIP,
      imageTokens: { sign: async ({ from, to, imageId }) => `${to} may have ${imageId} of ${from}` },
      metrics: {} as never,
      usage: { listMonthlyUsage: (...call) => world.usage.listMonthlyUsage(...call) },
      metricsPeriods: { minutesMs: 24 * 3_600_000, hoursMs: 9_600 * 3_600_000 },
      nodeAuth: createNodeAuthInterceptor({
        verifier: { verify: verifyNode },
        holdsLease: (process) => holdsLease(db, process),
      }),
    });
    const clientOf = <Service extends DescService>(service: Service, token: string): Client<Service> =>
      createClient(service, createRouterTransport(routes, { transport: { interceptors: [bearer(token)] } }));
    return { sealing, clientOf, masterKeys };
  };
  const { sealing, clientOf, masterKeys } = aProcess(createKeyring(randomBytes(32)));

  return {
    ...{ url, db, store, world, enrolled, sealing, workflows, clientOf, masterKeys, aProcess },
    /** A signed-in user with a personal organization and its project. */
    user: async (name: string) => {
      const { userId, memberships } = await clientOf(IdentityService, name).whoAmI({});
      const organizationId = memberships[0]?.organizationId ?? '';
      const projects = await clientOf(ProjectsService, name).listProjects({ organizationId });
      const deployments = clientOf(DeploymentsService, name);
      return { name, userId, organizationId, projectId: projects.projects[0]?.id ?? '', deployments };
    },
    stop: async () => {
      await changes.close();
      await db.destroy();
      await drop();
      await rm(folder, { recursive: true });
    },
  };
}

/** What startApiRig answers with. */
export type ApiRig = Awaited<ReturnType<typeof startApiRig>>;

/** Stores what is asked, one request of a deployment at a time, as its workflow does first, and leaves it there. */
function createFakeWorkflows(
  db: Database,
  store: ReturnType<typeof createDeploymentStore>,
  world: RigWorld,
  enrolled: string[],
) {
  const turns = new Map<string, Promise<unknown>>();
  const inTurn = <Result>(deploymentId: string, work: () => Promise<Result>): Promise<Result> => {
    const turn = (turns.get(deploymentId) ?? Promise.resolve()).then(work, work);
    turns.set(deploymentId, turn);
    return turn;
  };
  const check = () => {
    if (world.workflowsAway) throw new DomainError('WORKFLOWS_UNAVAILABLE', 'the request was not confirmed in time');
  };
  const gateway: Omit<WorkflowGateway, 'rotateKeys'> = {
    submit: async (call) => await store.storeOperation(call),
    tellStored: async () => check(),
    control: async (call) => {
      check();
      await inTurn(call.deploymentId, () => store.recordControl(call));
    },
    nodeEnrolled: async (nodeId) => {
      check();
      enrolled.push(nodeId);
    },
    nodeDoomed: async () => check(),
    nodeRemoved: async () => check(),
    drainNode: async ({ nodeId, drainId, actorUserId, reason }) => {
      check();
      await createDrainRecords(db).beginDrain({ nodeId, drainId, actorUserId, reason });
      return { drainId };
    },
    stopDrain: async () => check(),
    rebalance: async ({ rebalanceId, actorUserId, moves }) => {
      check();
      await createRebalanceRecords(db).beginRebalance({ rebalanceId, actorUserId, planned: moves.length });
      return { rebalanceId };
    },
    stopRebalance: async () => check(),
    takeSnapshot: async () => check(),
    restoreSnapshot: async () => check(),
  };
  /** A rotation is carried out by an orchestrator with the same master keys, and answered when it is recorded. */
  const rotateWith = async (masterKeys: Keyring, call: RotationCall): Promise<RotationAccepted> => {
    check();
    const running = inTurn('keys', () => carryOutRotation(db, masterKeys, call));
    running.catch(() => undefined);
    await eventually(async () => {
      if (!(await findRotation(db, call.rotationId))) throw new Error('not recorded yet');
    });
    return { rotationId: call.rotationId };
  };
  return { ...gateway, rotateWith };
}

/** Stores that a run began, as its workflow does first, and leaves it there; one at a time of each kind and node. */
function fakeRetention(db: Database, world: RigWorld): RetentionGateway {
  const running = new Map<string, string>();
  return {
    runRetention: async (request) => {
      if (world.workflowsAway) throw new DomainError('WORKFLOWS_UNAVAILABLE', 'the request was not confirmed in time');
      const runId = running.get(retentionWorkflowId(request)) ?? request.runId;
      const run = await findRun(db, runId);
      if (run?.state === 'running') return { runId };
      running.set(retentionWorkflowId(request), request.runId);
      await beginRun(db, request);
      return { runId: request.runId };
    },
  };
}

function bearer(token: string): Interceptor {
  return (next) => (request) => {
    if (token !== '') request.header.set('authorization', `Bearer ${token}`);
    return next(request);
  };
}

async function verifyName(token: string) {
  if (token === 'expired') throw new DomainError('UNAUTHENTICATED', 'token refused: it has expired');
  const expiresAt = new Date(Date.now() + 3_600_000);
  return { issuer: 'https://issuer.test', subject: token, email: `${token}@example.test`, expiresAt };
}

async function verifyNode(token: string) {
  if (!token.startsWith('node:')) throw new DomainError('UNAUTHENTICATED', 'token refused: it is malformed');
  const [, nodeId = '', epoch = '0'] = token.split(':');
  return { nodeId, epoch: Number(epoch) };
}
