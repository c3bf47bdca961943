import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Client } from 'pg';
import { createContext } from '../../scripts/machine/context.mjs';
import { ensureTimescaleCommunity } from '../../scripts/machine/timescale-community.mjs';
import { ensureTimescaleTree, TIMESCALE_BIN } from '../../scripts/machine/timescale-tree.mjs';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';

const ROOT = join(import.meta.dirname, '../..');
const USER = '--userspec=postgres:postgres';
const SETTINGS = ['shared_preload_libraries=timescaledb', 'timescaledb.telemetry_level=off', 'fsync=off'];
/** A chroot has no /dev/shm. */
const PLACE = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'dynamic_shared_memory_type=mmap'];

/**
 * The suite of stored metrics on TimescaleDB: on the servers that the user names, TIMESCALE_APACHE_URL and
 * TIMESCALE_COMMUNITY_URL (an administrator's), else on Debian's Apache edition and the community edition of npm.
 */
const named = process.env.TIMESCALE_APACHE_URL || process.env.TIMESCALE_COMMUNITY_URL;
process.exit(named ? await runSuite({}) : await onBoth());

async function onBoth(): Promise<number> {
  const context = createContext();
  const community = await ensureTimescaleCommunity(context);
  return await onDebians(await ensureTimescaleTree(context), { TIMESCALE_COMMUNITY_PACKAGE: community });
}

async function onDebians(tree: string, others: Record<string, string>): Promise<number> {
  const folder = mkdtempSync(join(tree, 'tmp', 'obiente-'));
  const data = `/tmp/${basename(folder)}`;
  const port = await freePort();
  let server: ChildProcess | undefined;
  try {
    execFileSync('chroot', [tree, 'chown', 'postgres:postgres', data]);
    chmodSync(folder, 0o700);
    const initdb = ['-D', data, '-U', 'postgres', '--auth', 'trust', '--encoding', 'UTF8', '--locale', 'C'];
    execFileSync('chroot', [USER, tree, `${TIMESCALE_BIN}/initdb`, ...initdb], { stdio: 'ignore' });
    const flags = [...SETTINGS, ...PLACE, `port=${port}`].flatMap((setting) => ['-c', setting]);
    server = spawn('chroot', [USER, tree, `${TIMESCALE_BIN}/postgres`, '-D', data, ...flags], { stdio: 'ignore' });
    const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
    await eventually(async () => {
      const client = new Client({ connectionString: url });
      await client.connect();
      await client.end();
    });
    return await runSuite({ ...others, TIMESCALE_APACHE_URL: url });
  } finally {
    if (server && server.exitCode === null) {
      const ended = once(server, 'exit');
      server.kill('SIGINT');
      await ended;
    }
    rmSync(folder, { recursive: true, force: true });
  }
}

async function runSuite(env: Record<string, string>): Promise<number> {
  const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
  const config = join(import.meta.dirname, 'vitest.config.ts');
  const suite = spawn(process.execPath, [vitest, 'run', '--config', config], {
    ...{ cwd: ROOT, stdio: 'inherit', env: { ...process.env, ...env } },
  });
  const [code] = (await once(suite, 'exit')) as [number | null];
  return code ?? 1;
}
