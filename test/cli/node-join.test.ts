import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DOCKER_SOCKET } from '../support/docker.ts';
import { startFakePlatform } from './fake-platform.ts';
import { runCommand } from './run-command.ts';

describe('tokens of nodes', () => {
  let platform: Awaited<ReturnType<typeof startFakePlatform>>;
  beforeEach(async () => {
    platform = await startFakePlatform();
  });
  afterEach(() => platform.stop());
  const node = (...args: string[]) => runCommand(['node', ...args], { url: platform.url });

  it('are printed once, as the one command for the new host', async () => {
    const { exitCode, stdout, stderr } = await node('token', '--expires', '2h');
    expect([exitCode, stdout]).toEqual([0, `npx obiente node join --server ${platform.url} --token obn_secret\n`]);
    expect(stderr).toContain('put an address in its place at which the host reaches this API');
    expect(platform.callsOf('CreateNodeToken')[0]?.request).toMatchObject({ lifetimeS: 7200 });
    expect((await node('token', '--expires', 'soon')).stderr).toContain('--expires: "soon" is not a duration');
  });

  it('are listed without what they are, and revoked; and a node is removed', async () => {
    expect((await node('tokens')).stdout).toMatch(/^TOKEN +STATE .*\n22222222-\S+ +valid/);
    expect((await node('revoke', '22222222-2222-4222-8222-222222222222')).stdout).toContain('nobody joins with');
    const removed = await node('remove', 'node-a');
    expect([removed.stdout, removed.exitCode]).toEqual(['removed node-a\n', 0]);
    expect(platform.callsOf('RemoveNode')[0]?.request).toMatchObject({ nodeId: 'node-a' });
  });
});

describe('obiente node swarm', () => {
  let platform: Awaited<ReturnType<typeof startFakePlatform>>;
  beforeEach(async () => {
    platform = await startFakePlatform();
  });
  afterEach(() => platform.stop());
  const swarm = (...args: string[]) => runCommand(['node', 'swarm', ...args], { url: platform.url });

  it('lists what the managers know beside the nodes, and says how the others join', async () => {
    const { exitCode, stdout, stderr } = await swarm();
    expect(exitCode).toBe(0);
    const lines = stdout.split('\n');
    expect(lines[0]).toMatch(/^SWARM NODE +HOST +ROLE +AVAILABILITY +IN THE SWARM +NODE +STATE +WHY/);
    expect(lines[1]).toMatch(/rack-1 +manager +active +ready +node-rack-1 +ready/);
    expect(lines[2]).toMatch(
      /rack-2 +worker +drain +ready +node-rack-2 +degraded +its availability in the swarm is drain/,
    );
    expect(lines[3]).toMatch(/rack-3 +worker +active +ready +none yet/);
    expect(lines[4]).toMatch(/rack-4 .*left +node-rack-4 +degraded +this host is in no swarm/);
    expect(stderr).toContain('no node yet on rack-3 (10.0.0.3); there, as root:');
    expect(stdout).toContain(`npx obiente node join --runtime swarm --server ${platform.url} --token <token>`);
    expect(platform.callsOf('CreateNodeToken')).toEqual([]);
  });

  it('makes a token for each host without a node, and for no other, when it is told to', async () => {
    const { stdout } = await swarm('--join');
    expect(stdout).toContain(`npx obiente node join --runtime swarm --server ${platform.url} --token obn_secret`);
    expect(platform.callsOf('CreateNodeToken')).toHaveLength(1);
  });
});

describe('obiente node join', () => {
  let server: Server;
  let dir: string;
  let clockAheadMs = 0;
  beforeEach(async () => {
    clockAheadMs = 0;
    dir = await mkdtemp(join(tmpdir(), 'obiente-join-'));
    server = createServer((_, response) => {
      response.setHeader('date', new Date(Date.now() + clockAheadMs).toUTCString());
      response.end('{}');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterEach(async () => {
    server.close();
    await rm(dir, { recursive: true });
  });
  const joins = (...args: string[]) => {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const target = ['--server', url, '--token', 'obn_never-to-be-said', '--dir', join(dir, 'node'), '--no-service'];
    return runCommand(['node', 'join', ...target, ...args], { url, env: { DOCKER_SOCKET } });
  };

  it('says in a dry run what it finds and what it would write, and changes nothing', async () => {
    const { exitCode, stdout, stderr } = await joins('--dry-run');
    expect([exitCode, stderr]).toEqual([0, '']);
    for (const name of [
      'control plane',
      'clock',
      'docker',
      'docker api',
      'live-restore',
      'cgroups',
      'storage',
      'disk',
    ]) {
      expect(stdout).toMatch(new RegExp(`^[✓!] ${name} `, 'm'));
    }
    expect(stdout).toContain(join(dir, 'node/payload.key'));
    expect(stdout).not.toContain('obn_never-to-be-said');
    expect(await readdir(dir)).toEqual([]);
  });

  it('refuses a host whose clock is off, or whose Docker does not answer, before the token is used', async () => {
    clockAheadMs = 60_000;
    const late = await joins();
    expect([late.exitCode, late.stderr]).toEqual([1, 'obiente: this host cannot join yet: clock\n']);
    expect(late.stdout).toMatch(/✗ clock +(59|60)\.\d s behind the control plane\n +→ let both hosts set/);
    clockAheadMs = 0;
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const args = ['node', 'join', '--server', url, '--token', 'x', '--dir', dir];
    const away = await runCommand(args, { url, env: { DOCKER_SOCKET: join(dir, 'none.sock') } });
    expect(away.stderr).toBe('obiente: this host cannot join yet: docker\n');
    expect(await readdir(dir)).toEqual([]);
  });

  it('refuses a server that is no platform, and says nothing of the token', async () => {
    const { exitCode, stdout, stderr } = await joins();
    expect(exitCode).not.toBe(0);
    expect(`${stdout}${stderr}`).not.toContain('obn_never-to-be-said');
    // The identity is kept for the next try; nothing of a membership is there.
    expect((await readdir(join(dir, 'node'))).sort()).toEqual(['encryption.jwk.json', 'node-id', 'signing.jwk.json']);
    expect((await stat(join(dir, 'node'))).mode & 0o777).toBe(0o700);
    expect(await readFile(join(dir, 'node/node-id'), 'utf8')).toMatch(/^node-/);
  });
});
