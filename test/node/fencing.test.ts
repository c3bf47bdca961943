import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Http2Server, type ServerHttp2Session } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Interceptor } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createLog } from '../../adapters/logging/log.ts';
import { readLeaseHolder } from '../../adapters/node-files/lease-holder-file.ts';
import { holdsLease } from '../../adapters/postgres/node-leases.ts';
import { findNode } from '../../adapters/postgres/nodes.ts';
import { createControlTokenSigner } from '../../adapters/tokens/control-token.ts';
import { generateControlKey } from '../../adapters/tokens/keys.ts';
import { createNodeTokenVerifier } from '../../adapters/tokens/node-token.ts';
import { createJoinTokenCheck, createNodeAuthInterceptor, nodeKey } from '../../api/auth/node-auth.ts';
import { createErrorInterceptor } from '../../api/interceptors/errors.ts';
import { createControlService } from '../../api/services/control.ts';
import { ControlService } from '../../gen/obiente/internal/v1/control_pb.ts';
import { type FaultProxy, socketPathOf, startFaultProxy } from '../faults/fault-proxy.ts';
import { useTestDatabase } from '../support/database.ts';
import { DOCKER_SOCKET, openTestDocker, type TestDocker } from '../support/docker.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { createReplicaStarter } from '../support/replicas.ts';

const ROOT = join(import.meta.dirname, '../..');
const JOIN_TOKEN = 'a join token of this test';
const CHANGES = /^(POST|PUT|PATCH|DELETE) /;

const database = useTestDatabase();
const log = createLog({ role: 'test', level: 'silent' });
const sessions = new Set<ServerHttp2Session>();
/** What the control plane answered: method, the epoch of whoever asked, and whether it was refused. */
const calls: { readonly method: string; readonly epoch: number; readonly refused: boolean }[] = [];
let test: TestDocker;
let startReplica: Awaited<ReturnType<typeof createReplicaStarter>>;
let control: Http2Server;
let dir: string;
let ofFirst: FaultProxy;
let ofSecond: FaultProxy;
let first: ChildProcess;
let second: ChildProcess;

/** The real service of the nodes on the real database; whatever else of a control plane there is, is away. */
function serve(): Http2Server {
  const { db } = database;
  const deps = {
    ...{ db, publicJwks: createControlTokenSigner(generateControlKey().privateJwk).publicJwks },
    checkJoinToken: createJoinTokenCheck(JOIN_TOKEN),
    workflows: { nodeEnrolled: async () => undefined },
  };
  const findSigningJwk = async (nodeId: string) => {
    const node = await findNode(db, nodeId);
    return node && JSON.stringify(node.signingJwk);
  };
  const verifier = createNodeTokenVerifier({ findSigningJwk });
  const nodeAuth = createNodeAuthInterceptor({ verifier, holdsLease: (process) => holdsLease(db, process) });
  const remember: Interceptor = (next) => async (request) => {
    const method = request.method.name;
    const tell = (refused: boolean): void => {
      calls.push({ method, epoch: request.contextValues.get(nodeKey)?.epoch ?? 0, refused });
    };
    try {
      const answer = await next(request);
      tell(false);
      return answer;
    } catch (error) {
      tell(true);
      throw error;
    }
  };
  const interceptors = [remember, createErrorInterceptor(log), nodeAuth];
  return createServer(
    connectNodeAdapter({
      routes: (router) => router.service(ControlService, createControlService(deps as never), { interceptors }),
    }),
  );
}

async function startProcess(name: string, docker: FaultProxy): Promise<ChildProcess> {
  const environment = {
    PATH: process.env.PATH,
    OBIENTE_INSTANCE: test.instance,
    CONTROL_URL: `http://127.0.0.1:${(control.address() as AddressInfo).port}`,
    TEMPORAL_ADDRESS: `127.0.0.1:${await freePort()}`,
    PAYLOAD_KEY_FILE: join(dir, 'payload'),
    NODE_JOIN_TOKEN_FILE: join(dir, 'join'),
    NODE_KEY_DIR: join(dir, 'keys'),
    NODE_GATEWAY_PORT: String(await freePort()),
    DOCKER_SOCKET: socketPathOf(docker),
    LOG_LEVEL: 'warn',
  };
  const child = spawn(process.execPath, [join(ROOT, 'cli/main.ts'), 'node'], { cwd: ROOT, env: environment });
  for (const output of [child.stdout, child.stderr]) output.resume();
  child.once('exit', (code, signal) => log.info({ name, code, signal }, 'a node process has ended'));
  return child;
}

/** Kills what runs, paused or not, and waits for its end. */
async function kill(child: ChildProcess | undefined): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}

async function readLease() {
  const { rows } = await sql<{ epoch: number; expiresAt: Date; now: Date }>`
    SELECT epoch, lease_expires_at AS "expiresAt", clock_timestamp() AS now FROM nodes
  `.execute(database.db);
  return rows[0];
}

async function untilEpoch(epoch: number) {
  return await eventually(async () => {
    const lease = await readLease();
    expect(lease?.epoch).toBe(epoch);
    return lease;
  });
}

beforeAll(async () => {
  test = await openTestDocker();
  startReplica = await createReplicaStarter(test);
  dir = await mkdtemp(join(tmpdir(), 'obiente-fencing-'));
  await mkdir(join(dir, 'keys'), { mode: 0o700 });
  await writeFile(join(dir, 'join'), JOIN_TOKEN, { mode: 0o600 });
  await writeFile(join(dir, 'payload'), randomBytes(32).toString('base64'), { mode: 0o600 });
  control = serve();
  control.on('session', (session) => sessions.add(session));
  control.listen(0, '127.0.0.1');
  await once(control, 'listening');
  const to = { socketPath: DOCKER_SOCKET };
  [ofFirst, ofSecond] = await Promise.all([
    startFaultProxy({ to, unit: 'http' }),
    startFaultProxy({ to, unit: 'http' }),
  ]);
});

afterEach(async () => {
  await Promise.all([kill(first), kill(second)]);
});
afterAll(async () => {
  for (const session of sessions) session.destroy();
  control?.close();
  await Promise.all([ofFirst?.stop(), ofSecond?.stop()]);
  await test?.remove();
  await rm(dir, { recursive: true, force: true });
});

describe('two processes with the identity of one node', { timeout: 180_000 }, () => {
  it('never both change something: one that was paused beyond its lease and goes on changes nothing any more', async () => {
    first = await startProcess('first', ofFirst);
    await untilEpoch(1);
    // It crashes for ever: whoever keeps this node starts it again and again.
    const crashing = await startReplica({ command: ['/bin/sh', '-c', 'sleep 0.2; exit 3'] });
    await eventually(() => expect(ofFirst.seen(/^POST .*\/start/)).toBeGreaterThan(0));

    first.kill('SIGSTOP');
    const paused = await readLease();
    // However slowly the second one starts, the lease has not run out by then, and it has to wait.
    await sql`UPDATE nodes SET lease_expires_at = now() + interval '1 hour'`.execute(database.db);
    second = await startProcess('second', ofSecond);
    await eventually(() => {
      expect(calls.filter(({ method, refused }) => method === 'EnrolNode' && refused).length).toBeGreaterThan(1);
    });
    await eventually(async () => {
      expect((await readLease())?.now.getTime()).toBeGreaterThan(
        paused?.expiresAt.getTime() ?? Number.POSITIVE_INFINITY,
      );
    });
    expect((await readLease())?.epoch).toBe(1);
    await sql`UPDATE nodes SET lease_expires_at = now()`.execute(database.db);
    await untilEpoch(2);
    await eventually(() => expect(ofSecond.seen(/^POST .*\/start/)).toBeGreaterThan(0));

    const before = { changes: ofFirst.seen(CHANGES), calls: calls.length };
    first.kill('SIGCONT');
    const sinceThen = () => calls.slice(before.calls);
    // It wants to renew and is refused, and then to take the lease back, which it may not while the second has it.
    const enrolmentsRefused = () => sinceThen().filter(({ method, refused }) => method === 'EnrolNode' && refused);
    await eventually(() => expect(enrolmentsRefused().length).toBeGreaterThan(3));
    expect(ofFirst.seen(/^GET /)).toBeGreaterThan(0);
    expect(ofFirst.seen(CHANGES)).toBe(before.changes);
    expect(sinceThen().filter(({ epoch, refused }) => epoch === 1 && !refused)).toEqual([]);
    expect((await readLease())?.epoch).toBe(2);

    // The second ends in good order and gives the lease back: now it is the first one's turn again, at once.
    second.kill('SIGTERM');
    const [released] = await Promise.all([untilEpoch(3), once(second, 'exit')]);
    expect(released).toBeDefined();
    await eventually(() => expect(ofFirst.seen(/^POST .*\/start/)).toBeGreaterThan(before.changes));
    await kill(first);
    await test.docker.removeContainer(crashing);
  });

  it('a process that was killed is followed by the next one on its host without waiting for its lease', async () => {
    const earlier = (await readLease())?.epoch ?? 0;
    first = await startProcess('first', ofFirst);
    const before = await eventually(async () => {
      const lease = await readLease();
      expect(lease?.epoch).toBeGreaterThan(earlier);
      return lease;
    });
    // It says on the disk that it has the lease after it has it; one that dies in between is waited for.
    const { pid } = first;
    await eventually(() => expect(readLeaseHolder(join(dir, 'keys', 'lease-holder.json'))).toMatchObject({ pid }));
    await kill(first);
    // However slowly the next one starts, its predecessor's lease has not run out by then.
    await sql`UPDATE nodes SET lease_expires_at = now() + interval '1 hour'`.execute(database.db);
    second = await startProcess('second', ofSecond);
    await untilEpoch((before?.epoch ?? 0) + 1);
  });
});
