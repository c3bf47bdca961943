import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type Http2Server, type ServerHttp2Session } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Code, ConnectError, type ConnectRouter, createClient } from '@connectrpc/connect';
import { connectNodeAdapter, createConnectTransport } from '@connectrpc/connect-node';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createLog } from '../../adapters/logging/log.ts';
import { createControlTokenSigner } from '../../adapters/tokens/control-token.ts';
import { generateControlKey } from '../../adapters/tokens/keys.ts';
import { NODE_LABEL } from '../../domain/container.ts';
import { toHealthLabel } from '../../domain/health-rules.ts';
import { LABEL } from '../../domain/naming.ts';
import { DEFAULT_HEALTH_CHECK } from '../../domain/spec.ts';
import {
  ControlService,
  type EnrolNodeRequest,
  type ObservedReplica,
  type ReportReplicasRequest,
} from '../../gen/obiente/internal/v1/control_pb.ts';
import { NodeGatewayService } from '../../gen/obiente/internal/v1/gateways_pb.ts';
import { startNode } from '../../workers/node.ts';
import type { RunningRole } from '../../workers/run-role.ts';
import { DOCKER_SOCKET, openTestDocker, type TestDocker } from '../support/docker.ts';
import { freePort } from '../support/free-port.ts';
import { createReplicaStarter } from '../support/replicas.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const log = createLog({ role: 'node', level: 'silent' });
const controlToken = createControlTokenSigner(generateControlKey().privateJwk);
const enrolments: EnrolNodeRequest[] = [];
const reports: ReportReplicasRequest[] = [];
const sessions = new Set<ServerHttp2Session>();
const joinToken = 'a join token of this test';
let heartbeats = 0;
let releases = 0;
let forgotten = false;
let test: TestDocker;
let startReplica: Awaited<ReturnType<typeof createReplicaStarter>>;
let control: Http2Server;
let dir: string;
let environment: Record<string, string>;
let node: RunningRole;

function routes(router: ConnectRouter): void {
  router.service(ControlService, {
    enrolNode: (request) => {
      if (request.joinToken !== joinToken) throw new ConnectError('wrong join token', Code.Unauthenticated);
      enrolments.push(request);
      forgotten = false;
      return { controlJwks: controlToken.publicJwks, epoch: BigInt(enrolments.length), leaseMs: 15_000n };
    },
    heartbeat: () => {
      heartbeats += 1;
      if (forgotten) throw new ConnectError('who are you', Code.Unauthenticated);
      return { leaseMs: 15_000n, controlJwks: controlToken.publicJwks };
    },
    releaseLease: () => {
      releases += 1;
      return {};
    },
    reportReplicas: (request) => {
      reports.push(request);
      return {};
    },
  });
}

beforeAll(async () => {
  test = await openTestDocker();
  startReplica = await createReplicaStarter(test);
  dir = await mkdtemp(join(tmpdir(), 'obiente-node-'));
  control = createServer(connectNodeAdapter({ routes }));
  control.on('session', (session) => sessions.add(session));
  const [controlPort, gatewayPort, temporalPort] = await Promise.all([freePort(), freePort(), freePort()]);
  control.listen(controlPort, '127.0.0.1');
  await once(control, 'listening');
  await writeFile(join(dir, 'join'), joinToken, { mode: 0o600 });
  await writeFile(join(dir, 'payload'), randomBytes(32).toString('base64'), { mode: 0o600 });
  environment = {
    OBIENTE_INSTANCE: test.instance,
    CONTROL_URL: `http://127.0.0.1:${controlPort}`,
    TEMPORAL_ADDRESS: `127.0.0.1:${temporalPort}`,
    PAYLOAD_KEY_FILE: join(dir, 'payload'),
    NODE_JOIN_TOKEN_FILE: join(dir, 'join'),
    NODE_KEY_DIR: join(dir, 'keys'),
    NODE_GATEWAY_PORT: String(gatewayPort),
    DOCKER_SOCKET,
  };
  node = await startNode(environment, log);
});

afterAll(async () => {
  await node?.stop();
  for (const session of sessions) session.destroy();
  control?.close();
  await test?.remove();
  await rm(dir, { recursive: true, force: true });
});

async function runReplica(script: string): Promise<string> {
  const check = { ...DEFAULT_HEALTH_CHECK, intervalMs: 200, startPeriodMs: 500 };
  const container = await test.client.createContainer({
    Image: test.image,
    Cmd: ['/bin/sh', '-c', script],
    Labels: {
      [LABEL.managed]: 'true',
      [LABEL.instance]: test.instance,
      [LABEL.deploymentId]: '0f0e2c5e-3c0f-4d7e-9b6e-3d2c1a4b5c6d',
      [LABEL.revision]: '2',
      [LABEL.replica]: 'r2-0',
      [NODE_LABEL.health]: toHealthLabel({ check, port: 8080 }),
    },
    HostConfig: { RestartPolicy: { Name: 'unless-stopped' } },
  });
  await container.start();
  return container.id;
}

function lastOf(containerId: string): ObservedReplica | undefined {
  const all = reports.flatMap((report) => report.replicas);
  return all.findLast((replica) => replica.containerId === containerId);
}

function statesOf(containerId: string): string[] {
  const all = reports.flatMap((report) => report.replicas.filter((replica) => replica.containerId === containerId));
  return all.map((replica) => replica.state);
}

function gateway(token: string) {
  const baseUrl = `http://127.0.0.1:${environment.NODE_GATEWAY_PORT}`;
  const transport = createConnectTransport({
    baseUrl,
    httpVersion: '2',
    interceptors: [
      (next) => async (request) => {
        request.header.set('authorization', `Bearer ${token}`);
        return await next(request);
      },
    ],
  });
  return createClient(NodeGatewayService, transport);
}

async function readLog(token: string, containerId: string): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of gateway(token).streamContainerLogs({ containerId, tail: 100 })) lines.push(line.text);
  return lines;
}

describe('a node', () => {
  it('enrols with what its host has, and keeps its lease', async () => {
    expect(enrolments).toHaveLength(1);
    expect(enrolments[0]).toMatchObject({ address: '127.0.0.1', nodeId: expect.stringMatching(/^node-[0-9a-f]{12}$/) });
    expect(enrolments[0]?.memoryBytes).toBeGreaterThan(0n);
    expect(enrolments[0]?.cpuCores).toBeGreaterThan(0);
    expect(JSON.parse(enrolments[0]?.signingJwk ?? '{}')).not.toHaveProperty('d');
    await expect.poll(() => heartbeats, { timeout: 20_000 }).toBeGreaterThan(0);
  });

  it('keeps its identity for itself, and the keys of the control plane for its streamer', async () => {
    const keys = environment.NODE_KEY_DIR ?? '';
    expect((await stat(keys)).mode & 0o777).toBe(0o700);
    for (const file of ['node-id', 'signing.jwk.json', 'encryption.jwk.json', 'control-jwks.json']) {
      expect((await stat(join(keys, file))).mode & 0o777).toBe(0o600);
    }
    expect(await readFile(join(keys, 'control-jwks.json'), 'utf8')).toBe(controlToken.publicJwks);
    expect(await readFile(join(keys, 'node-id'), 'utf8')).toBe(enrolments[0]?.nodeId);
  });

  it('enrols again when the control plane has forgotten it', async () => {
    const before = enrolments.length;
    forgotten = true;
    await expect.poll(() => enrolments.length, { timeout: 20_000 }).toBe(before + 1);
  });

  it('reports everything once it is connected, then each replica as it changes', async () => {
    expect(reports.some((report) => report.complete)).toBe(true);
    const id = await runReplica('sleep 0.3; httpd -f -p 8080 -h /bin & wait');
    await expect.poll(() => statesOf(id).at(-1), { timeout: 20_000 }).toBe('healthy');
    await test.client
      .getContainer(id)
      .kill({ signal: 'SIGSTOP' })
      .catch(() => undefined);
    await test.docker.stopContainer(id, 0);
    await expect.poll(() => statesOf(id).at(-1), { timeout: 20_000 }).toBe('exited');
    await test.docker.removeContainer(id);
    await expect.poll(() => statesOf(id).at(-1), { timeout: 20_000 }).toBe('removed');
  });

  it('reports a replica that stops answering, and its recovery', async () => {
    const script =
      "trap 'kill $!; sleep 3; httpd -f -p 8080 -h /bin & wait' USR1; httpd -f -p 8080 -h /bin & wait; wait";
    const id = await runReplica(script);
    await expect.poll(() => statesOf(id).at(-1), { timeout: 20_000 }).toBe('healthy');
    await test.client.getContainer(id).kill({ signal: 'SIGUSR1' });
    await expect.poll(() => statesOf(id).at(-1), { timeout: 20_000 }).toBe('unhealthy');
    await expect.poll(() => statesOf(id).at(-1), { timeout: 20_000 }).toBe('healthy');
    await test.docker.removeContainer(id);
  });

  it('reports how a replica crashes, how often, and when it is tried again', async () => {
    const id = await startReplica({ command: ['/bin/sh', '-c', 'sleep 0.2; exit 3'] });
    await expect.poll(() => lastOf(id)?.nextRestartAt?.seconds ?? 0n, { timeout: 30_000 }).toBeGreaterThan(0n);
    expect(lastOf(id)).toMatchObject({ state: 'exited', exitCode: 3, outOfMemory: false });
    await expect.poll(() => lastOf(id)?.restarts ?? 0, { timeout: 30_000 }).toBeGreaterThan(2);
    expect(lastOf(id)).toMatchObject({ exitCode: 3, restartStreak: lastOf(id)?.restarts });
    await test.docker.removeContainer(id);
  });

  it('reports that the kernel killed a replica for its memory', async () => {
    const limits = { cpuCores: 1, memoryBytes: 8 * 1024 * 1024 };
    const id = await startReplica({
      limits,
      restartPolicy: 'never',
      command: ['/bin/sh', '-c', 'exec tail /dev/zero'],
    });
    await expect.poll(() => lastOf(id)?.outOfMemory, { timeout: 30_000 }).toBe(true);
    await expect.poll(() => lastOf(id)?.state, { timeout: 30_000 }).toBe('exited');
    expect(lastOf(id)).toMatchObject({ exitCode: 137, restarts: 0 });
    expect(lastOf(id)?.nextRestartAt).toBeUndefined();
    await test.docker.removeContainer(id);
  });

  it('streams logs to the control plane, and to nobody else', async () => {
    const id = await runReplica('echo hello; sleep 600');
    const audience = `node:${enrolments[0]?.nodeId}`;
    const token = await controlToken.sign({ audience });
    await expect.poll(() => readLog(token, id), { timeout: 20_000 }).toEqual(['hello']);
    const forged = await createControlTokenSigner(generateControlKey().privateJwk).sign({ audience });
    const ofAnotherNode = await controlToken.sign({ audience: 'node:node-ffffffffffff' });
    for (const wrong of [forged, ofAnotherNode, 'nonsense']) {
      await expect(readLog(wrong, id)).rejects.toMatchObject({ code: Code.Unauthenticated });
    }
    await test.docker.removeContainer(id);
    await expect(readLog(token, id)).rejects.toMatchObject({ code: Code.NotFound });
  });

  it('gives its lease back at its end, and takes it anew at its next start', async () => {
    const before = { enrolments: enrolments.length, releases };
    await node.stop();
    expect({ enrolments: enrolments.length, releases }).toEqual({ ...before, releases: before.releases + 1 });
    node = await startNode(environment, log);
    expect(enrolments).toHaveLength(before.enrolments + 1);
    expect(enrolments.at(-1)?.holder).not.toBe(enrolments[0]?.holder);
  });

  it('does not stream the log of a container that is not of this installation', async () => {
    const foreign = await test.client.createContainer({ Image: test.image, Cmd: ['/bin/echo', 'secret'] });
    await foreign.start();
    const token = await controlToken.sign({ audience: `node:${enrolments[0]?.nodeId}` });
    await expect(readLog(token, foreign.id)).rejects.toMatchObject({ code: Code.NotFound });
    await foreign.remove({ force: true, v: true });
  });
});
