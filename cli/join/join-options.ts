import { isIP } from 'node:net';
import { isLoopback } from '../../config/identity.ts';
import { isLabelWord } from '../../domain/node-labels.ts';
import { refuse } from '../failures.ts';
import { parseWhole } from '../quantities.ts';

/** What `obiente node join` was given. */
export interface JoinOptions {
  readonly server: string;
  readonly token?: string;
  readonly name?: string;
  readonly label: readonly string[];
  readonly region?: string;
  readonly address?: string;
  readonly dir: string;
  readonly gatewayPort: string;
  readonly streamerPort: string;
  readonly runtime: string;
  readonly insecure?: boolean;
  readonly dryRun?: boolean;
  /** False with `--no-service`. */
  readonly service: boolean;
  readonly run?: boolean;
}

/** The same, read. */
export interface WantedNode {
  readonly server: string;
  readonly name: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  /** `undefined`: the address from which this host reaches the control plane. */
  readonly address: string | undefined;
  readonly dir: string;
  readonly gatewayPort: number;
  readonly streamerPort: number;
  readonly runtime: 'docker' | 'swarm';
}

/** Reads the options. @throws INVALID_ARGUMENT naming the one at fault */
export function readJoinOptions(options: JoinOptions): WantedNode {
  const { name, address, dir, runtime } = options;
  if (runtime !== 'docker' && runtime !== 'swarm') {
    throw refuse('--runtime', `found "${runtime}"; allowed are docker and swarm`);
  }
  if (name !== undefined && !/^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/.test(name)) {
    throw refuse('--name', `"${name}" is not a name; allowed are letters, digits, dots and hyphens`);
  }
  if (address !== undefined && isIP(address) === 0) {
    throw refuse('--address', `"${address}" is not an IP address of this host`);
  }
  if (!dir.startsWith('/')) throw refuse('--dir', `"${dir}" is not an absolute path`);
  const port = (field: string, text: string) => parseWhole(field, text, { min: 1, max: 65_535 });
  return {
    server: readServer(options),
    ...{ name, address, dir, runtime, labels: readLabels(options) },
    gatewayPort: port('--gateway-port', options.gatewayPort),
    streamerPort: port('--streamer-port', options.streamerPort),
  };
}

/** Over http, whoever is between could answer for the control plane: on this host itself nobody is. */
function readServer({ server, insecure }: JoinOptions): string {
  const url = URL.canParse(server) ? new URL(server) : undefined;
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') {
    throw refuse(
      '--server',
      `"${server}" is not a URL; allowed is the address of the API, such as https://api.example.com`,
    );
  }
  if (url.protocol === 'http:' && !isLoopback(server) && insecure !== true) {
    const hint = 'Use https, or add --insecure where the network between the hosts is your own.';
    throw refuse('--server', `"${server}" is over http; allowed is https`, hint);
  }
  return url.origin;
}

function readLabels({ label, region }: JoinOptions): Readonly<Record<string, string>> {
  const pairs = [...label, ...(region === undefined ? [] : [`region=${region}`])];
  const labels = new Map<string, string>();
  for (const pair of pairs) {
    const [name = '', value = '', ...more] = pair.split('=');
    if (more.length > 0 || !isLabelWord(name) || !isLabelWord(value)) {
      const allowed = 'allowed are pairs such as disk=ssd, of a-z, 0-9 and ._/- between, at most 63 characters each';
      throw refuse('--label', `"${pair}" is not a label; ${allowed}`);
    }
    if (labels.has(name)) throw refuse('--label', `${name} is given twice`);
    labels.set(name, value);
  }
  return Object.fromEntries(labels);
}
