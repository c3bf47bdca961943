import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createControlTokenSigner } from '../../adapters/tokens/control-token.ts';
import { generateControlKey } from '../../adapters/tokens/keys.ts';
import { createStreamers } from '../../api/gateways/streamers.ts';
import { DOCKER_SOCKET, type TestDocker } from '../../test/support/docker.ts';
import { eventually } from '../../test/support/eventually.ts';
import { freePort } from '../../test/support/free-port.ts';
import { createEmptyDatabase, startPostgres } from '../../test/support/postgres.ts';
import { STREAMER_NODE_OPTIONS } from '../../workers/dev/role-environment.ts';
import type { Containers } from './containers.ts';
import { pathsOf } from './floors.ts';
import { cpuMsOf, rssBytesOf } from './process-use.ts';

/** What a process used while it was watched. */
export interface ProcessCost {
  /** Percent of one core. */
  readonly cpuPercent: number;
  readonly rssMebibytes: number;
}

const ROOT = join(import.meta.dirname, '../..');
const NODE = 'node-of-this-bench';
const INTERVAL_MS = 5_000;

/** Code is compiled, and the heap has found its size. */
const WARM_UP_MS = 60_000;

/** Twelve rounds, and the writing of their minute. */
const WATCH_MS = 60_000;

const MEBIBYTE = 1024 * 1024;

/** Reads the same files each 5 s and does nothing else. The paths come on its command line. */
const FLOOR = `
const { openSync, readSync } = require('node:fs');
const files = process.argv.slice(1).map((path) => openSync(path, 'r'));
const buffer = Buffer.alloc(65536);
setInterval(() => { for (const file of files) readSync(file, buffer, 0, buffer.length, 0); }, ${INTERVAL_MS});
`;

/** Runs a streamer as on a host, with a database of its own, beside a process that only reads the files. */
export async function measureStreamer(
  corner: TestDocker,
  containers: Containers,
  stack: AsyncDisposableStack,
): Promise<{ readonly streamer: ProcessCost; readonly floor: ProcessCost }> {
  const streamer = await startStreamerProcess(corner, containers.size, stack);
  const paths = [...containers.values()].flatMap(pathsOf);
  const floor = spawnNode(['-e', FLOOR, ...paths], {}, stack).pid;
  await new Promise((resolve) => setTimeout(resolve, WARM_UP_MS));
  const before = [streamer, floor].map((pid) => cpuMsOf([pid]));
  await new Promise((resolve) => setTimeout(resolve, WATCH_MS));
  const [ofStreamer, ofFloor] = [streamer, floor].map((pid, index) => ({
    cpuPercent: ((cpuMsOf([pid]) - (before[index] ?? 0)) / WATCH_MS) * 100,
    rssMebibytes: rssBytesOf(pid) / MEBIBYTE,
  }));
  if (!ofStreamer || !ofFloor) throw new Error('nothing was measured');
  return { streamer: ofStreamer, floor: ofFloor };
}

async function startStreamerProcess(corner: TestDocker, count: number, stack: AsyncDisposableStack): Promise<number> {
  const server = await startPostgres();
  stack.defer(server.stop);
  const database = await createEmptyDatabase(server.adminUrl);
  const folder = await mkdtemp(join(tmpdir(), 'obiente-streamer-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const signer = createControlTokenSigner(generateControlKey().privateJwk);
  await mkdir(join(folder, 'node'));
  await writeFile(join(folder, 'node', 'node-id'), `${NODE}\n`);
  await writeFile(join(folder, 'node', 'control-jwks.json'), signer.publicJwks);
  const port = await freePort();
  const environment = {
    OBIENTE_INSTANCE: corner.instance,
    OBIENTE_STATE_DIR: join(folder, 'state'),
    NODE_KEY_DIR: join(folder, 'node'),
    STREAMER_GATEWAY_PORT: String(port),
    DOCKER_SOCKET,
    METRICS_DATABASE_URL: database.url,
    METRICS_COLLECTION_INTERVAL: `${INTERVAL_MS}ms`,
    LOG_LEVEL: 'warn',
    NODE_COMPILE_CACHE: join(folder, 'compiled'),
    NODE_OPTIONS: STREAMER_NODE_OPTIONS,
  };
  const start = () => spawnNode([join(ROOT, 'cli/main.ts'), 'streamer'], environment, stack);
  const streamers = createStreamers({ signer });
  const streamer = { nodeId: NODE, streamerUrl: `http://127.0.0.1:${port}` };
  const untilAllAreRead = () =>
    eventually(async () => {
      const { containers_read_by_cgroup } = await streamers.observe(streamer, AbortSignal.timeout(5_000));
      if (containers_read_by_cgroup !== count) throw new Error(`${containers_read_by_cgroup} containers are read`);
    });
  // The first process on a host compiles the code, for all that follow.
  const first = start();
  await untilAllAreRead();
  await first.stop();
  const second = start();
  await untilAllAreRead();
  return second.pid;
}

interface Spawned {
  readonly pid: number;
  stop(): Promise<void>;
}

/** Starts a process that ends with the bench at the latest. */
function spawnNode(args: readonly string[], environment: Record<string, string>, stack: AsyncDisposableStack): Spawned {
  const env = { PATH: process.env.PATH ?? '', ...environment };
  const child: ChildProcess = spawn(process.execPath, args, { cwd: ROOT, env, stdio: ['ignore', 'ignore', 'inherit'] });
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
  };
  stack.defer(stop);
  if (child.pid === undefined) throw new Error('a process could not be started');
  return { pid: child.pid, stop };
}
