import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { createCgroupSource } from '../../adapters/cgroup/cgroup-source.ts';
import { createDockerConnection } from '../../adapters/docker/connection.ts';
import { createDockerMeteredContainers } from '../../adapters/docker/metered-containers.ts';
import { type MetricsDatabase, openMetricsDatabase } from '../../adapters/timescale/metrics-database.ts';
import { migrateMetrics } from '../../adapters/timescale/migrate.ts';
import { addCounters, COUNTER_NAMES, NO_COUNTERS } from '../../domain/metrics/counters.ts';
import type { Counters } from '../../domain/metrics/reading.ts';
import type { AggregatorState } from '../../streamer/minute-aggregator.ts';
import { portOf, startFaultProxy } from '../faults/fault-proxy.ts';
import { bridgeGateway } from '../support/bridge-gateway.ts';
import { DOCKER_SOCKET, openTestDocker } from '../support/docker.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { startReplica } from '../support/metered.ts';
import { createEmptyDatabase, startPostgres } from '../support/postgres.ts';
import { startStandIn } from './stand-in.ts';
import { countDoubles, readMinutes } from './stored-minutes.ts';

const ROOT = join(import.meta.dirname, '../..');
const NODE = 'node-of-this-test';

/** How a scenario is scaled: the clock, never the path. */
export interface Scale {
  /** The "minute", milliseconds, and the time between two readings. */
  readonly storageMs: number;
  readonly collectionMs: number;
  /** "Minutes" for which the metrics database is away. */
  readonly outageMinutes: number;
  /** How often the streamer is killed while it is. */
  readonly kills: number;
  /** Whether there is a database that stands in for it. */
  readonly standsIn: boolean;
}

/** What came of it. */
export interface Conservation {
  /** What the kernel counted for both runs of the container, read beside the streamer. */
  readonly expected: Counters;
  /** Σ of stored rows, and of the minute that was open at the end. */
  readonly stored: Counters;
  readonly rows: number;
  /** Rows that are there twice. */
  readonly doubled: number;
  readonly dropped: number;
  /** Rows that waited on the disk at the end of the outage. */
  readonly spooled: number;
  /** Rows that were in the database that stood in, then; and after it was emptied and the streamer had gone on for long. */
  readonly stoodIn: number;
  readonly stoodInLater: number;
  /** What a reader saw of both databases at the end of the outage; `null` without one that stood in. */
  readonly seenMeanwhile: { readonly rows: number; readonly doubled: number } | null;
  /** From the return of the database to the last row of the outage, as a share of the outage. */
  readonly drainShare: number;
}

/** Writes to the disk, sends and receives, and counts, until it is told to be still; then it does nothing. */
function workload(address: string): readonly string[] {
  const round = [
    'dd if=/dev/zero of=/data bs=65536 count=4 conv=fsync 2>/dev/null',
    `echo hello | nc ${address} >/dev/null`,
    'i=0; while [ $i -lt 500 ]; do i=$((i+1)); done',
    'sleep 0.05',
  ].join('; ');
  return ['sh', '-c', `trap 'still=1' USR1; while [ -z "$still" ]; do ${round}; done; sleep 3600 & wait; wait`];
}

/**
 * A real container that works, a real streamer that is killed, restarted, and cut off from a real database that crashes
 * meanwhile; the container restarts too. Then everything that was stored is compared with what the kernel counted.
 */
export async function conserve(scale: Scale): Promise<Conservation> {
  const folder = await mkdtemp(join(tmpdir(), 'obiente-conservation-'));
  const server = await startPostgres();
  const corner = await openTestDocker();
  const echo = await listen();
  const proxy = await startFaultProxy({ to: { port: Number(new URL(server.adminUrl).port) }, unit: 'connection' });
  const database = await createEmptyDatabase(server.adminUrl);
  const db = openMetricsDatabase(database.url);
  await migrateMetrics(db);
  const standIn = scale.standsIn ? await startStandIn(db) : undefined;
  const throughProxy = new URL(database.url);
  throughProxy.port = String(portOf(proxy));
  const spoolFile = join(folder, 'state', 'metrics-spool.db');
  await mkdir(join(folder, 'node'), { recursive: true });
  await writeFile(join(folder, 'node', 'node-id'), `${NODE}\n`);
  await writeFile(join(folder, 'node', 'control-jwks.json'), '{"keys":[]}');
  const environment = {
    ...{ PATH: process.env.PATH ?? '', LOG_LEVEL: 'error', OBIENTE_INSTANCE: corner.instance },
    ...{ OBIENTE_STATE_DIR: join(folder, 'state'), NODE_KEY_DIR: join(folder, 'node') },
    ...{ STREAMER_GATEWAY_PORT: String(await freePort()), DOCKER_SOCKET, METRICS_DATABASE_URL: throughProxy.href },
    METRICS_COLLECTION_INTERVAL: `${scale.collectionMs}ms`,
    METRICS_STORAGE_INTERVAL: `${scale.storageMs}ms`,
    METRICS_RETRY_INTERVAL: '1s',
    ...(standIn ? { METRICS_FALLBACK_DATABASE_URL: standIn.url } : {}),
  };
  let streamer = await startStreamer(environment);
  const kill = async (): Promise<void> => {
    await end(streamer, 'SIGKILL');
    streamer = await startStreamer(environment);
  };
  const minutes = (count: number): Promise<void> => delay(count * scale.storageMs);
  try {
    const id = await startReplica(corner, {
      ...{
        replicaId: 'r1-0',
        command: workload(`${await bridgeGateway(corner.client)} ${(echo.address() as AddressInfo).port}`),
      },
    });
    const container = corner.client.getContainer(id);
    const still = async (): Promise<Counters> => {
      await container.kill({ signal: 'SIGUSR1' });
      return await settled(corner.instance, id, spoolFile);
    };

    await minutes(5);
    await kill();
    await minutes(3);
    await proxy.interrupt();
    const begunMs = performance.now();
    for (let part = 0; part <= scale.kills; part += 1) {
      await minutes(scale.outageMinutes / (scale.kills + 1));
      if (part < scale.kills) await kill();
    }
    await server.crash();
    const spooled = waiting(spoolFile).rows;
    const stoodIn = (await standIn?.count()) ?? 0;
    const seenMeanwhile = (await standIn?.see()) ?? null;
    const outageMs = performance.now() - begunMs;
    await proxy.resume();
    const backMs = performance.now();
    await eventually(
      () => {
        if (waiting(spoolFile).rows > 2) throw new Error(`${JSON.stringify(waiting(spoolFile))} still wait`);
      },
      { patienceMs: 120_000 },
    );
    const drainShare = (performance.now() - backMs) / outageMs;
    if (standIn) {
      await writesAgain(db);
      await standIn.moveAll();
    }
    const first = await still();
    await container.restart({ t: 0 });
    await minutes(5);
    await end(streamer, 'SIGTERM');
    streamer = await startStreamer(environment);
    await minutes(3);
    const second = await still();
    await end(streamer, 'SIGTERM');

    const found = await readMinutes(db);
    const open = stateOf(spoolFile)?.open.find(({ containerId }) => containerId === id);
    return {
      expected: addCounters(first, second),
      stored: found.reduce((sum, row) => addCounters(sum, fromColumns(row)), open?.used ?? NO_COUNTERS),
      ...{ rows: found.length, doubled: countDoubles(found), dropped: waiting(spoolFile).dropped },
      ...{ spooled, stoodIn, seenMeanwhile, stoodInLater: (await standIn?.count()) ?? 0, drainShare },
    };
  } finally {
    await end(streamer, 'SIGKILL');
    await corner.remove();
    await standIn?.stop();
    await db.destroy();
    await proxy.stop();
    await server.stop();
    echo.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Waits until a row of now has come, by which the streamer has gone back to this database. */
async function writesAgain(db: MetricsDatabase): Promise<void> {
  const since = new Date();
  await eventually(
    async () => {
      const rows = await readMinutes(db);
      if (!rows.some(({ minute }) => minute >= since)) throw new Error('the streamer does not write here yet');
    },
    { patienceMs: 120_000, everyMs: 250 },
  );
}

/** Waits until the streamer has kept what the kernel shows of a container that is still. @returns that. */
async function settled(instance: string, id: string, spoolFile: string): Promise<Counters> {
  const connection = createDockerConnection({ socketPath: DOCKER_SOCKET, requestTimeoutMs: 30_000 });
  const metered = await createDockerMeteredContainers(connection, instance).findMetered(id);
  const meter = metered && createCgroupSource().open(metered);
  if (!meter) throw new Error('the container cannot be read');
  try {
    return await eventually(
      async () => {
        const reading = await meter.read(AbortSignal.timeout(5_000));
        const kept = stateOf(spoolFile)?.open.find(({ containerId }) => containerId === id);
        const counters = reading?.counters;
        if (!counters || kept?.incarnation !== reading.incarnation) throw new Error('it was not read yet');
        for (const name of COUNTER_NAMES) {
          if (kept.counters[name] !== counters[name])
            throw new Error(`${name}: ${kept.counters[name]} of ${counters[name]}`);
        }
        return counters;
      },
      { patienceMs: 60_000 },
    );
  } finally {
    meter.close();
  }
}

function fromColumns(row: object): Counters {
  const column = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const values = COUNTER_NAMES.map((name) => [name, Number((row as Record<string, unknown>)[column(name)])]);
  return Object.fromEntries(values) as unknown as Counters;
}

function readSpool<Result>(file: string, read: (db: DatabaseSync) => Result): Result {
  const db = new DatabaseSync(file, { readOnly: true, timeout: 5_000 });
  try {
    return read(db);
  } finally {
    db.close();
  }
}

function waiting(file: string): { rows: number; dropped: number } {
  return readSpool(file, (db) => {
    const { rows } = db.prepare('SELECT coalesce(sum(row_count), 0) AS rows FROM batches').get() as { rows: number };
    const dropped = db.prepare("SELECT value FROM kept WHERE name = 'dropped'").get() as { value: string } | undefined;
    return { rows, dropped: Number(dropped?.value ?? 0) };
  });
}

function stateOf(file: string): AggregatorState | undefined {
  return readSpool(file, (db) => {
    const kept = db.prepare("SELECT value FROM kept WHERE name = 'state'").get() as { value: string } | undefined;
    return kept ? (JSON.parse(kept.value) as { state: AggregatorState }).state : undefined;
  });
}

async function startStreamer(env: Record<string, string>): Promise<ChildProcess> {
  const child = spawn(process.execPath, [join(ROOT, 'cli/main.ts'), 'streamer'], {
    ...{ env, cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] },
  });
  await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => Promise.reject(new Error(`the streamer ended with ${code}`))),
  ]);
  return child;
}

async function end(child: ChildProcess, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill(signal);
  await exit;
}

async function listen(): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.end('x'.repeat(10_000));
  });
  server.listen(0, '0.0.0.0');
  await once(server, 'listening');
  return server;
}
