import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readEnvironment } from '../../config/environment.ts';
import { nodeVariables } from '../../config/node.ts';
import { streamerVariables } from '../../config/streamer.ts';
import { environmentOf, hostRoles } from './node-files.ts';

const node = {
  ...{ server: 'https://api.example.com', name: 'rack-3', address: undefined, dir: '/var/lib/obiente/node' },
  ...{ labels: { disk: 'ssd', region: 'eu' }, gatewayPort: 7410, streamerPort: 7411, runtime: 'swarm' as const },
};
const host = {
  program: '/opt/node',
  checkout: '/opt/my $apps/100%',
  dockerSocket: '/run/docker.sock',
  address: '10.0.0.7',
};
const membership = {
  ...{
    instance: 'abcd1234',
    temporalAddress: 'temporal.internal:7233',
    temporalNamespace: 'default',
    payloadKeys: 'k',
  },
  metricsDatabaseUrl: `postgres://writer:p'a"ss@db:5432/metrics`,
};

/** What Node.js makes of an environment file. */
function load(text: string): Record<string, string | undefined> {
  const dir = mkdtempSync(join(tmpdir(), 'obiente-env-'));
  const before = { ...process.env };
  try {
    writeFileSync(join(dir, 'role.env'), text);
    for (const name of Object.keys(process.env)) delete process.env[name];
    process.loadEnvFile(join(dir, 'role.env'));
    return { ...process.env };
  } finally {
    for (const name of Object.keys(process.env)) delete process.env[name];
    Object.assign(process.env, before);
    rmSync(dir, { recursive: true });
  }
}

it('the files of a node are the environments that its roles start with', () => {
  const roles = { node: nodeVariables, streamer: streamerVariables } as const;
  const read = (role: 'node' | 'streamer') =>
    readEnvironment(roles[role], load(environmentOf(role, node, { ...host, membership })));
  expect(read('node')).toMatchObject({
    ...{ CONTROL_URL: node.server, TEMPORAL_ADDRESS: 'temporal.internal:7233', OBIENTE_INSTANCE: 'abcd1234' },
    ...{ NODE_LABELS: node.labels, NODE_NAME: 'rack-3', NODE_ADDRESS: '10.0.0.7', BIND_ADDRESS: '10.0.0.7' },
    ...{ NODE_KEY_DIR: node.dir, PAYLOAD_KEY_FILE: '/var/lib/obiente/node/payload.key' },
  });
  expect(read('node')).not.toHaveProperty('METRICS_DATABASE_URL');
  expect(read('streamer')).toMatchObject({
    ...{ METRICS_DATABASE_URL: membership.metricsDatabaseUrl, NODE_KEY_DIR: node.dir, BIND_ADDRESS: '10.0.0.7' },
  });
});

it('a value that no line of such a file can hold is refused by its name', () => {
  for (const metricsDatabaseUrl of ['postgres://a\nB=c', `'"\``]) {
    const text = () => environmentOf('streamer', node, { ...host, membership: { ...membership, metricsDatabaseUrl } });
    expect(text).toThrow(/METRICS_DATABASE_URL/);
  }
});

it('the units start what the commands start, whatever is in their paths, and hold no secrets', () => {
  const [first, second] = hostRoles(node, host, { hasStreamer: true });
  expect(first?.command).toEqual([
    ...['/opt/node', '--env-file=/var/lib/obiente/node/node.env', '/opt/my $apps/100%/cli/main.ts', 'node'],
  ]);
  expect(first?.unit.text).toContain(
    'ExecStart=/opt/node --env-file=/var/lib/obiente/node/node.env "/opt/my $$apps/100%%/cli/main.ts" node\n',
  );
  expect(second?.unit.name).toBe('obiente-streamer.service');
  expect(second?.unit.text).not.toContain('postgres');
  expect(hostRoles(node, host, { hasStreamer: false })).toHaveLength(1);
});
