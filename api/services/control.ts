import { timestampDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import { mayReadContext } from '../../adapters/postgres/build-contexts.ts';
import { findVolumeSource } from '../../adapters/postgres/carried-volumes.ts';
import { keepFailureLog } from '../../adapters/postgres/failure-logs.ts';
import { findBuiltService, findHeldService } from '../../adapters/postgres/held-service.ts';
import { findImageSources } from '../../adapters/postgres/image-sources.ts';
import { releaseLease, renewLease } from '../../adapters/postgres/node-leases.ts';
import { useNodeToken } from '../../adapters/postgres/node-tokens.ts';
import { enrolNode, findNode } from '../../adapters/postgres/nodes.ts';
import { findRegistryCredential } from '../../adapters/postgres/registries.ts';
import { reportReplicas } from '../../adapters/postgres/replica-reports.ts';
import { reportBuild } from '../../adapters/postgres/report-build.ts';
import { findOwned } from '../../adapters/postgres/retention/owned.ts';
import type { PublicJwk } from '../../adapters/postgres/schema-nodes.ts';
import { findSwarmManagers, getSwarmNodeId } from '../../adapters/postgres/swarm-managers.ts';
import type { ContextStore } from '../../adapters/sources/context-store.ts';
import type { WorkflowGateway } from '../../adapters/temporal/workflow-gateway.ts';
import { encryptEnvironment } from '../../adapters/tokens/environment-envelope.ts';
import type { ImageTokenSigner } from '../../adapters/tokens/image-token.ts';
import { hashJoinToken } from '../../adapters/tokens/join-token.ts';
import { parsePublicJwk } from '../../adapters/tokens/keys.ts';
import { encryptMembership, type Membership } from '../../adapters/tokens/membership-envelope.ts';
import { encryptRegistryCredential } from '../../adapters/tokens/registry-credential-envelope.ts';
import type { SwarmTokenSigner } from '../../adapters/tokens/swarm-token.ts';
import type { VolumeTokenSigner } from '../../adapters/tokens/volume-token.ts';
import { notFound } from '../../domain/errors.ts';
import { registryOf } from '../../domain/image-reference.ts';
import { LEASE_TIMING, leaseLost } from '../../domain/node-lease.ts';
import { argumentsOf, type SealedVariable, type ServiceSpec } from '../../domain/spec.ts';
import type {
  ControlService,
  EnrolNodeRequest,
  ObservedReplica,
  ReportBuildRequest,
} from '../../gen/obiente/internal/v1/control_pb.ts';
import { type AdmissionCheck, getCallingNode } from '../auth/node-auth.ts';
import { passwordPlace, variablePlace } from '../secret-places.ts';
import { type ComposeFileDeps, takeComposeFile } from './compose-file.ts';
import { type SourceCredentialDeps, sealSourceCredential } from './source-credential.ts';

/** What the nodes' service needs. */
export interface ControlDeps extends SourceCredentialDeps, ComposeFileDeps {
  readonly contexts: ContextStore;
  readonly workflows: Pick<WorkflowGateway, 'nodeEnrolled'>;
  /** @throws UNAUTHENTICATED for any token but the right one. */
  readonly checkJoinToken: (presented: string) => void;
  /** @throws UNAUTHENTICATED unless an enrolment is signed by the node that has joined. */
  readonly checkAdmission: AdmissionCheck;
  /** What a node is told when it joins. */
  readonly membership: Membership;
  /** Signs which node may fetch which built image from which other one. */
  readonly imageTokens: ImageTokenSigner;
  readonly volumeTokens: VolumeTokenSigner;
  /** Signs which node may ask which manager of its Docker Swarm for services. */
  readonly swarmTokens: SwarmTokenSigner;
  /** The control plane's public keys as the JSON text of a JWK set. */
  readonly publicJwks: string;
}

const LEASE_MS = LEASE_TIMING.ttlMs;

/** Creates the service of the nodes. Which node calls is known from its signed token alone, never from a field. */
export function createControlService(deps: ControlDeps): ServiceImpl<typeof ControlService> {
  const { db, publicJwks } = deps;
  return {
    async joinNode({ token, nodeId, signingJwk, encryptionJwk }) {
      const keys = {
        signingJwk: publicJwk(signingJwk, 'signing_jwk'),
        encryptionJwk: publicJwk(encryptionJwk, 'encryption_jwk'),
      };
      await useNodeToken(db, hashJoinToken(token), { nodeId, ...keys });
      return { jwe: await encryptMembership(keys.encryptionJwk, deps.membership) };
    },
    async enrolNode(request, context) {
      if (request.joinToken === '') await deps.checkAdmission(context.requestHeader, request.nodeId);
      else deps.checkJoinToken(request.joinToken);
      const { epoch } = await enrolNode(db, toEnrolment(request));
      await deps.workflows.nodeEnrolled(request.nodeId);
      return { controlJwks: publicJwks, epoch: BigInt(epoch), leaseMs: BigInt(LEASE_MS) };
    },
    async heartbeat(_request, context) {
      const process = getCallingNode(context);
      if (!(await renewLease(db, { ...process, leaseMs: LEASE_MS }))) throw leaseLost(`node ${process.nodeId}`);
      return { leaseMs: BigInt(LEASE_MS), controlJwks: publicJwks };
    },
    async releaseLease(_request, context) {
      await releaseLease(db, getCallingNode(context));
      return {};
    },
    async reportReplicas({ replicas, complete }, context) {
      const process = getCallingNode(context);
      const unseen = await reportReplicas(db, { ...process, replicas: replicas.map(fromWire), complete });
      return { unseen: [...unseen] };
    },
    async findOwned({ things }, context) {
      const { nodeId } = getCallingNode(context);
      return { ids: [...(await findOwned(db, { nodeId, things }))] };
    },
    async fetchEnvironment({ deploymentId, revision, service, buildArguments }, context) {
      const { nodeId } = getCallingNode(context);
      const find = buildArguments ? findBuiltService : findHeldService;
      const [node, held] = await Promise.all([
        findNode(db, nodeId),
        find(db, { deploymentId, revision, service, nodeId }),
      ]);
      if (!node || !held) throw notFound('environment');
      const { organizationId } = held;
      const place = {
        organizationId,
        deploymentId: deploymentId.toLowerCase(),
        service,
        isBuildArgument: buildArguments,
      };
      const variables = await Promise.all(
        variablesOf(held.service, buildArguments).map(async ({ name, version, sealed }) => {
          return { name, value: await deps.sealing.open({ ...variablePlace(place, { name }), version, sealed }) };
        }),
      );
      return { jwe: await encryptEnvironment(node.encryptionJwk, variables) };
    },
    async fetchRegistryCredential({ deploymentId, revision, service }, context) {
      const { nodeId } = getCallingNode(context);
      const [node, held] = await Promise.all([
        findNode(db, nodeId),
        findHeldService(db, { deploymentId, revision, service, nodeId }),
      ]);
      if (!node || held?.service.source.kind !== 'image') return {};
      const { organizationId } = held;
      const host = registryOf(held.service.source.reference);
      const stored = await findRegistryCredential(db, { organizationId, host });
      if (!stored) return {};
      const { id, username, sealedPassword: sealed } = stored;
      const version = stored.version ?? undefined;
      const password = await deps.sealing.open({ ...passwordPlace({ organizationId, host }), version, sealed });
      return { jwe: await encryptRegistryCredential(node.encryptionJwk, { id, username, password }) };
    },
    async fetchSourceCredential({ deploymentId, revision, service }, context) {
      const { nodeId } = getCallingNode(context);
      return { jwe: await sealSourceCredential(deps, { deploymentId, revision, service, nodeId }) };
    },
    async reportComposeFile(report, context) {
      const { nodeId } = getCallingNode(context);
      return await takeComposeFile(deps, { ...report, nodeId });
    },
    async *fetchContext({ deploymentId, contextSha256: sha256 }, context) {
      const { nodeId } = getCallingNode(context);
      if (!(await mayReadContext(db, { nodeId, deploymentId, sha256 }))) throw notFound('context');
      for await (const chunk of deps.contexts.read(sha256)) yield { chunk };
    },
    async fetchImageSources({ deploymentId, imageId }, context) {
      const { nodeId } = getCallingNode(context);
      const { reference, holders } = await findImageSources(db, { deploymentId, imageId, nodeId });
      const signed = holders.map(async ({ nodeId: from, gatewayUrl, isLost }) => {
        if (isLost) return { nodeId: from };
        const token = await deps.imageTokens.sign({ deploymentId, imageId, from, to: nodeId });
        return { nodeId: from, gatewayUrl, token };
      });
      return { reference: reference ?? '', holders: await Promise.all(signed) };
    },
    async fetchVolumeSource({ volumeId, copy }, context) {
      const { nodeId: to } = getCallingNode(context);
      const { nodeId: from, isLost, ...at } = await findVolumeSource(db, { volumeId, copy, nodeId: to });
      if (isLost) return { nodeId: from };
      const token = await deps.volumeTokens.sign({ volumeId, copy: at.copy, from, to });
      return { nodeId: from, token, ...at };
    },
    async fetchSwarmManagers({ swarmNodeIds }, context) {
      const { nodeId, epoch } = getCallingNode(context);
      const swarmNodeId = await getSwarmNodeId(db, nodeId);
      const found = await findSwarmManagers(db, swarmNodeIds);
      const signed = found.map(async ({ nodeId: manager, gatewayUrl, encryptionJwk }) => {
        const token = await deps.swarmTokens.sign({ nodeId, swarmNodeId, epoch, manager });
        return { nodeId: manager, gatewayUrl, token, encryptionJwk: JSON.stringify(encryptionJwk) };
      });
      return { managers: await Promise.all(signed) };
    },
    async reportBuild(report, context) {
      return { accepted: await reportBuild(db, { ...getCallingNode(context), ...toBuildReport(report) }) };
    },
    async reportFailure({ deploymentId, replicaId, shortened, lines: sent }, context) {
      const process = getCallingNode(context);
      const lines = sent.map(({ atMs, isError, text }) => {
        return { atMs: Number(atMs), stream: isError ? ('stderr' as const) : ('stdout' as const), text };
      });
      await keepFailureLog(db, { ...process, deploymentId, replicaId, shortened, lines });
      return {};
    },
  };
}

function variablesOf({ environment, source }: ServiceSpec, buildArguments: boolean): readonly SealedVariable[] {
  if (!buildArguments) return environment;
  return argumentsOf(source);
}

function toEnrolment(request: EnrolNodeRequest) {
  const { nodeId, hostname, cpuCores, dockerVersion, architecture, address, gatewayUrl, streamerUrl, labels } = request;
  return {
    ...{ nodeId, hostname, cpuCores, dockerVersion, architecture, address, gatewayUrl, streamerUrl, labels },
    nixpacksVersion: request.nixpacksVersion,
    memoryBytes: Number(request.memoryBytes),
    signingJwk: publicJwk(request.signingJwk, 'signing_jwk'),
    encryptionJwk: publicJwk(request.encryptionJwk, 'encryption_jwk'),
    leaseMs: LEASE_MS,
    ...(request.swarmNodeId === '' ? {} : { swarm: { nodeId: request.swarmNodeId, isManager: request.swarmManager } }),
    ...(request.holder === '' ? {} : { holder: request.holder }),
    ...(request.replaces === '' ? {} : { replaces: request.replaces }),
  };
}

function toBuildReport(report: ReportBuildRequest) {
  const { deploymentId, revision, service, complete } = report;
  return {
    ...{ deploymentId, revision, service, complete },
    attempt: Number(report.attempt),
    phase: report.phase as 'waiting' | 'building',
    firstNumber: Number(report.firstNumber),
    lines: report.lines.map(({ atMs, text }) => ({ atMs: Number(atMs), text })),
  };
}

function publicJwk(text: string, field: string): PublicJwk {
  return { ...parsePublicJwk(text, field) };
}

function fromWire(replica: ObservedReplica) {
  const { deploymentId, revision, replicaId, containerId, exitCode, hostPort, startedAt } = replica;
  const { outOfMemory, restarts, restartStreak, nextRestartAt, healthReason } = replica;
  return {
    ...{ deploymentId, revision, replicaId, containerId, outOfMemory, restarts, restartStreak, healthReason },
    state: replica.state as 'starting' | 'healthy' | 'unhealthy' | 'exited' | 'removed',
    exitCode: exitCode ?? null,
    hostPort: hostPort === 0 ? null : hostPort,
    startedAt: startedAt ? timestampDate(startedAt) : null,
    nextRestartAt: nextRestartAt ? timestampDate(nextRestartAt) : null,
  };
}
