import { join } from 'node:path';
import type { SystemdUnit } from '../../adapters/systemd/systemd.ts';
import type { Membership } from '../../adapters/tokens/membership-envelope.ts';
import { refuse } from '../failures.ts';
import type { WantedNode } from './join-options.ts';

/** A role on this host: its environment in a file, and how it is started. */
export interface HostRole {
  readonly role: 'node' | 'streamer';
  readonly environmentFile: string;
  /** Program and arguments. */
  readonly command: readonly string[];
  readonly unit: SystemdUnit;
}

/** What of this host the files depend on. */
export interface Installed {
  /** The Node.js that runs this command. */
  readonly program: string;
  /** Where this checkout is. */
  readonly checkout: string;
  readonly dockerSocket: string;
  /** Address at which the control plane reaches this host. */
  readonly address: string;
}

/** Says how the roles of a host are started. */
export function hostRoles(node: WantedNode, host: Installed, { hasStreamer }: { hasStreamer: boolean }) {
  const roleOf = (role: HostRole['role']): HostRole => {
    const environmentFile = join(node.dir, `${role}.env`);
    const command = [host.program, `--env-file=${environmentFile}`, join(host.checkout, 'cli/main.ts'), role];
    return { role, environmentFile, command, unit: { name: `obiente-${role}.service`, text: unitOf(role, command) } };
  };
  return [roleOf('node'), ...(hasStreamer ? [roleOf('streamer')] : [])];
}

/** Where the keys of what Temporal stores are kept. */
export function payloadKeyFile({ dir }: Pick<WantedNode, 'dir'>): string {
  return join(dir, 'payload.key');
}

/** What a role is told, as the text of its environment file. The secrets in it are why only its owner may read it. */
export function environmentOf(
  role: HostRole['role'],
  node: WantedNode,
  host: Installed & { readonly membership: Membership },
): string {
  const { membership, address, dockerSocket } = host;
  const both = {
    OBIENTE_INSTANCE: membership.instance,
    NODE_KEY_DIR: node.dir,
    BIND_ADDRESS: address,
    DOCKER_SOCKET: dockerSocket,
    STREAMER_GATEWAY_PORT: String(node.streamerPort),
  };
  if (role === 'streamer') {
    return toText({ ...both, OBIENTE_STATE_DIR: node.dir, METRICS_DATABASE_URL: membership.metricsDatabaseUrl ?? '' });
  }
  const labels = Object.entries(node.labels).map(([name, value]) => `${name}=${value}`);
  return toText({
    ...both,
    CONTROL_URL: node.server,
    TEMPORAL_ADDRESS: membership.temporalAddress,
    TEMPORAL_NAMESPACE: membership.temporalNamespace,
    PAYLOAD_KEY_FILE: payloadKeyFile(node),
    NODE_ADDRESS: address,
    NODE_GATEWAY_PORT: String(node.gatewayPort),
    ...(node.runtime === 'docker' ? {} : { RUNTIME: node.runtime }),
    ...(node.name === undefined ? {} : { NODE_NAME: node.name }),
    ...(labels.length === 0 ? {} : { NODE_LABELS: labels.join(',') }),
  });
}

function toText(variables: Readonly<Record<string, string>>): string {
  return Object.entries(variables)
    .map(([name, value]) => `${name}=${quoted(name, value)}\n`)
    .join('');
}

/** Node.js knows three quotes and no escapes in them that all of them have. */
function quoted(name: string, value: string): string {
  const quote = ["'", '"', '`'].find((one) => !value.includes(one));
  const isPlain = !/[\n\r]/.test(value) && (quote !== '"' || !value.includes('\\'));
  if (quote !== undefined && isPlain) return `${quote}${value}${quote}`;
  throw refuse(name, 'its value has a line break, or every kind of quote; allowed are values in one line without one');
}

function unitOf(role: string, command: readonly string[]): string {
  return `[Unit]
Description=Obiente Cloud ${role}
Wants=network-online.target
After=network-online.target docker.service

[Service]
ExecStart=${command.map(unitWord).join(' ')}
Restart=always
RestartSec=2
KillMode=mixed
TimeoutStopSec=60

[Install]
WantedBy=multi-user.target
`;
}

/** A word of a command line as systemd reads it: quoted, without its own placeholders (systemd.service(5)). */
function unitWord(word: string): string {
  const escaped = word.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%').replaceAll('$', '$$$$');
  return /^[\w@%+=:,./-]+$/.test(word) ? escaped : `"${escaped}"`;
}
