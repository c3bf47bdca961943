import type { Readable } from 'node:stream';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { createClient, type Interceptor } from '@connectrpc/connect';
import { createConnectTransport, Http2SessionManager } from '@connectrpc/connect-node';
import type { BuildReport } from '../../activities/build-reporter.ts';
import type { ImageSources } from '../../activities/built-images.ts';
import type { VolumeHolder } from '../../activities/carry-volume.ts';
import type { ReportComposeFile } from '../../activities/git-ports.ts';
import type { FailureReport } from '../../activities/node-ports.ts';
import type { ServiceRef } from '../../contracts/rollout.ts';
import type { HostFacts } from '../../domain/container.ts';
import type { NodeLabels } from '../../domain/node-labels.ts';
import type { ReplicaReport, ReportedReplica, UnseenReplica } from '../../domain/reported-replica.ts';
import type { OwnableThing } from '../../domain/retention/orphans.ts';
import { ControlService, type EnrolNodeRequest } from '../../gen/obiente/internal/v1/control_pb.ts';
import { tolerateLateSessionErrors } from '../http2/late-session-errors.ts';
import type { SwarmManagerAt } from '../node-client/swarm-managers.ts';
import { toContextStream } from './context-stream.ts';
import { toControlError, toRetryableControlError } from './control-errors.ts';

/** A call that takes longer than this is tried again; an API that drains or fails over answers sooner. */
const CALL_TIMEOUT_MS = 10_000;

/** The verdict on a replica, or the end of a process, waits for it, and matters more. */
const LAST_WORDS_MS = 3_000;

/** A renewal that takes longer is tried again while the lease still holds: it does for 7 s after the next one is due. */
const RENEWAL_MS = 4_000;

/** Tells a dead connection from a silent one within 15 s. */
const KEEP_ALIVE = { pingIntervalMs: 10_000, pingTimeoutMs: 5_000, pingIdleConnection: true } as const;

/** How a node introduces itself. */
export interface Introduction extends HostFacts {
  readonly nodeId: string;
  /** Empty where this node has joined with a token of its own: then it signs its enrolment. */
  readonly joinToken: string;
  /** Public keys, JWKs as JSON. */
  readonly signingJwk: string;
  readonly encryptionJwk: string;
  /** Address at which published ports are reached. */
  readonly address: string;
  readonly labels: NodeLabels;
  /** Of the nixpacks that it can build with; empty where it has none. */
  readonly nixpacksVersion: string;
  readonly gatewayUrl: string;
  readonly streamerUrl: string;
  /** Id of this process, which takes the node's lease. */
  readonly holder: string;
  /** The process that had it before and is gone; empty when nobody knows. */
  readonly replaces: string;
}

/** What the control plane answers to a sign of life. */
export interface GrantedLease {
  /** Its public keys, a JWK set as JSON. */
  readonly controlJwks: string;
  /** How long the lease holds, milliseconds. */
  readonly leaseMs: number;
}

/** What this node says to the control plane, and asks of it. */
export interface ControlClient {
  /**
   * Takes the node's lease. @throws UNAUTHENTICATED, NODE_UNAVAILABLE; NODE_LEASE_LOST while another process has it
   */
  enrol(introduction: Introduction): Promise<GrantedLease & { readonly epoch: number }>;
  /** Renews it. @throws UNAUTHENTICATED when the node is not known (any more); NODE_LEASE_LOST when it has ended. */
  heartbeat(docker: { healthy: boolean; reason: string }): Promise<GrantedLease>;
  /** Gives it back. */
  releaseLease(): Promise<void>;
  /** @returns what is recorded on this node and was not in a complete report. */
  reportReplicas(report: ReplicaReport): Promise<readonly UnseenReplica[]>;
  /** @returns ids of those things of this node that some record owns. @throws NODE_UNAVAILABLE (retryable) */
  findOwned(things: readonly OwnableThing[]): Promise<ReadonlySet<string>>;
  /** @returns a service's variables as a JWE for this node's key. @throws NOT_FOUND, NODE_UNAVAILABLE */
  fetchEnvironment(of: ServiceRef): Promise<string>;
  /** @returns the arguments with which a service's image is built, in the same form. */
  fetchBuildArguments(of: ServiceRef): Promise<string>;
  /** @returns the credential for a service's image as a JWE for this node's key; empty without one. */
  fetchRegistryCredential(of: ServiceRef): Promise<string>;
  /** @returns where a built image is. @throws NOT_FOUND when this node is to run no such image; NODE_UNAVAILABLE */
  fetchImageSources(of: { deploymentId: string; imageId: string }): Promise<ImageSources>;
  /** @returns who has what is in a volume. @throws NOT_FOUND when it is not on its way to this node; NODE_UNAVAILABLE */
  fetchVolumeSource(of: { readonly volumeId: string; readonly copy: number }): Promise<VolumeHolder>;
  /** @returns nodes on these managers of this host's swarm. @throws NOT_FOUND when this node is in none; NODE_UNAVAILABLE */
  fetchSwarmManagers(swarmNodeIds: readonly string[]): Promise<readonly SwarmManagerAt[]>;
  /** Tells how a build goes. @returns whether the report counts. @throws NOT_FOUND when it is not this node's build. */
  reportBuild(report: BuildReport): Promise<boolean>;
  /** Tells what a replica had printed when it was given up. @throws NOT_FOUND when it is not this node's */
  reportFailure(report: FailureReport): Promise<void>;
  /** @returns the credential for a service's Git repository as a JWE for this node's key; empty without one. */
  fetchSourceCredential(of: ServiceRef): Promise<string>;
  /** Tells a Compose file. @throws NOT_FOUND when this node does not read that source; NODE_UNAVAILABLE (retryable) */
  readonly reportComposeFile: ReportComposeFile;
  /** Streams a stored build context; the stream fails when it breaks off or has another hash. */
  fetchContext(of: { deploymentId: string; contextSha256: string }, signal: AbortSignal): Readable;
  close(): void;
}

/** Creates the client; it connects at its first call, and again whenever it has to. */
export function createControlClient(to: { url: string; sign: () => Promise<string> }): ControlClient {
  const authorize: Interceptor = (next) => async (request) => {
    const { method, message } = request;
    if (method !== ControlService.method.enrolNode || (message as EnrolNodeRequest).joinToken === '') {
      request.header.set('authorization', `Bearer ${await to.sign()}`);
    }
    return await next(request);
  };
  tolerateLateSessionErrors();
  const sessionManager = new Http2SessionManager(to.url, KEEP_ALIVE);
  const transport = createConnectTransport({
    baseUrl: to.url,
    httpVersion: '2',
    sessionManager,
    interceptors: [authorize],
    defaultTimeoutMs: CALL_TIMEOUT_MS,
  });
  const client = createClient(ControlService, transport);
  return {
    enrol: async ({ memoryBytes, swarm, ...introduction }) => {
      const answer = client.enrolNode({
        ...{ ...introduction, memoryBytes: BigInt(memoryBytes) },
        ...(swarm ? { swarmNodeId: swarm.nodeId, swarmManager: swarm.isManager } : {}),
      });
      const { controlJwks, epoch, leaseMs } = await explained('enrol this node', answer);
      return { controlJwks, epoch: Number(epoch), leaseMs: Number(leaseMs) };
    },
    heartbeat: async ({ healthy, reason }) => {
      const answer = client.heartbeat(
        { dockerHealthy: healthy, reason: reason.slice(0, 1024) },
        { timeoutMs: RENEWAL_MS },
      );
      const { controlJwks, leaseMs } = await explained('renew the lease of this node', answer);
      return { controlJwks, leaseMs: Number(leaseMs) };
    },
    releaseLease: async () => {
      await explained('release the lease of this node', client.releaseLease({}, { timeoutMs: LAST_WORDS_MS }));
    },
    reportReplicas: async ({ replicas, complete }) => {
      const answer = client.reportReplicas({ replicas: replicas.map(toMessage), complete });
      return (await explained('report replicas', answer)).unseen;
    },
    findOwned: async (things) => {
      const answer = client.findOwned({ things: things.map(({ kind: _, name: __, ...thing }) => thing) });
      return new Set((await explained('ask who owns what is here', answer, toRetryableControlError)).ids);
    },
    fetchEnvironment: async (of) => {
      const what = `fetch the environment of ${nameOf(of)}`;
      return (await explained(what, client.fetchEnvironment(of), toRetryableControlError)).jwe;
    },
    fetchBuildArguments: async (of) => {
      const answer = client.fetchEnvironment({ ...of, buildArguments: true });
      return (await explained(`fetch the build arguments of ${nameOf(of)}`, answer, toRetryableControlError)).jwe;
    },
    fetchRegistryCredential: async (of) => {
      const what = `fetch the registry credential for ${nameOf(of)}`;
      return (await explained(what, client.fetchRegistryCredential(of), toRetryableControlError)).jwe;
    },
    fetchImageSources: async ({ deploymentId, imageId }) => {
      const what = `ask where image ${imageId} is`;
      const answer = client.fetchImageSources({ deploymentId, imageId });
      return await explained(what, answer, toRetryableControlError);
    },
    fetchVolumeSource: async (of) => {
      const what = `ask who has volume ${of.volumeId}`;
      return await explained(what, client.fetchVolumeSource(of), toRetryableControlError);
    },
    fetchSwarmManagers: async (swarmNodeIds) => {
      const answer = client.fetchSwarmManagers({ swarmNodeIds: [...swarmNodeIds] });
      return (await explained('ask for managers of the swarm', answer, toRetryableControlError)).managers;
    },
    reportBuild: async ({ attempt, firstNumber, lines, ...report }) => {
      const answer = client.reportBuild({
        ...report,
        attempt: BigInt(attempt),
        firstNumber: BigInt(firstNumber),
        lines: lines.map(({ atMs, text }) => ({ atMs: BigInt(atMs), text })),
      });
      return (await explained('report a build', answer, toRetryableControlError)).accepted;
    },
    reportFailure: async ({ deploymentId, replicaId, shortened, lines }) => {
      const printed = lines.map(({ at, stream, text }) => ({
        ...{ atMs: BigInt(Date.parse(at)), isError: stream === 'stderr', text },
      }));
      const report = { deploymentId, replicaId, shortened, lines: printed };
      await explained('report a failure', client.reportFailure(report, { timeoutMs: LAST_WORDS_MS }));
    },
    fetchSourceCredential: async (of) => {
      const what = `fetch the git credential for ${nameOf(of)}`;
      return (await explained(what, client.fetchSourceCredential(of), toRetryableControlError)).jwe;
    },
    reportComposeFile: async (report) =>
      await explained('report a Compose file', client.reportComposeFile(report), toRetryableControlError),
    fetchContext: (of, signal) =>
      toContextStream(
        chunksOf(() => client.fetchContext(of, { signal, timeoutMs: 0 })),
        of.contextSha256,
      ),
    close: () => sessionManager.abort(),
  };
}

function nameOf({ deploymentId, revision, service }: ServiceRef): string {
  return `${service} in revision ${revision} of deployment ${deploymentId}`;
}

async function explained<Answer>(what: string, answer: Promise<Answer>, toError = toControlError): Promise<Answer> {
  try {
    return await answer;
  } catch (error) {
    throw toError(what, error);
  }
}

/**
 * Asks once somebody reads, and not before: Node.js takes an HTTP/2 answer that had ended before its first read for one
 * that broke off ("Premature close"), though all of it has arrived.
 */
async function* chunksOf(ask: () => AsyncIterable<{ readonly chunk: Uint8Array }>): AsyncGenerator<Uint8Array> {
  try {
    for await (const { chunk } of ask()) yield chunk;
  } catch (error) {
    throw toRetryableControlError('fetch the build context', error);
  }
}

function toMessage({ startedAt, nextRestartAt, exitCode, hostPort, ...replica }: ReportedReplica) {
  return {
    ...replica,
    hostPort: hostPort ?? 0,
    ...(exitCode === null ? {} : { exitCode }),
    ...(startedAt === null ? {} : { startedAt: timestampFromDate(new Date(startedAt)) }),
    ...(nextRestartAt === null ? {} : { nextRestartAt: timestampFromDate(new Date(nextRestartAt)) }),
  };
}
