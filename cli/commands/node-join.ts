import type { Command } from 'commander';
import { isPortOpen } from '../../adapters/probe/port.ts';
import { installUnits, isSystemd, unitPath } from '../../adapters/systemd/systemd.ts';
import { type HostFinding, judgeHost } from '../../domain/host-checks.ts';
import { AlreadyShown } from '../failures.ts';
import { action, type CliContext, type Invocation } from '../invocation.ts';
import { becomeNode, type JoinedNode } from '../join/become-node.ts';
import { findOwnAddress, lookAtHost } from '../join/host-facts.ts';
import { type JoinOptions, readJoinOptions, type WantedNode } from '../join/join-options.ts';
import { hostRoles, type Installed, payloadKeyFile } from '../join/node-files.ts';
import { runRoles } from '../join/run-roles.ts';
import { plainText } from '../plain-text.ts';
import { readSecret } from '../read-secret.ts';
import type { Terminal } from '../terminal.ts';

const collect = (value: string, all: readonly string[]): readonly string[] => [...all, value];

const ANSWER_TIMEOUT_MS = 5_000;

/** Adds `obiente node join`. */
export function addNodeJoin(node: Command, context: CliContext): void {
  node
    .command('join')
    .description('make this Docker host a node of a cluster: check it, take its identity, start its services')
    .requiredOption('--server <url>', 'address of the API')
    .option('--token <token>', 'what "obiente node token" printed; else it is asked for, or read from standard input')
    .option('--name <name>', 'what people call this host (default: what it calls itself)')
    .option('--label <name=value>', 'what placement may know of it, such as disk=ssd (repeatable)', collect, [])
    .option('--region <name>', 'the same as --label region=<name>')
    .option('--address <ip>', 'where the control plane reaches it (default: its address on the way to the API)')
    .option('--dir <folder>', 'where its identity and its secrets are kept', '/var/lib/obiente/node')
    .option('--gateway-port <port>', 'where it serves logs and images', '7410')
    .option('--streamer-port <port>', 'where it serves live metrics', '7411')
    .option('--insecure', 'go on over http, where the network between the hosts is your own')
    .option(
      '--runtime <runtime>',
      'what its replicas are: docker (containers) or swarm (services of its Docker Swarm)',
      'docker',
    )
    .option('--dry-run', 'check, say what would be written, and change nothing')
    .option('--no-service', 'install no service; print how to start it')
    .option('--run', 'install no service; run it in this terminal')
    .action(action<JoinOptions, []>(context, joinCommand));
}

async function joinCommand(invocation: Invocation, options: JoinOptions): Promise<void> {
  const { context, terminal, signal } = invocation;
  const node = readJoinOptions(options);
  const dockerSocket = context.env.DOCKER_SOCKET || '/var/run/docker.sock';
  const findings = judgeHost(await lookAtHost(node.server, dockerSocket));
  for (const finding of findings) show(terminal, finding);
  const refused = findings.filter(({ level }) => level === 'refused');
  if (refused.length > 0) {
    terminal.document({ joined: false, findings });
    throw new AlreadyShown(`this host cannot join yet: ${refused.map(({ name }) => name).join(', ')}`);
  }
  const address = node.address ?? (await findOwnAddress(node.server));
  const host = { program: process.execPath, checkout: context.checkout, dockerSocket, address };
  const asService = options.service && options.run !== true && (await isSystemd());
  if (options.dryRun) return tellPlan(terminal, { node, host, findings, asService });
  const token = options.token ?? (await readSecret(context, 'join token'));
  const joined = await becomeNode(node, host, token.trim());
  terminal.line(`this host is ${joined.nodeId}, reached at ${address}`);
  if (joined.membership.metricsDatabaseUrl === null) {
    terminal.note('no streamer: the API has no JOIN_METRICS_DATABASE_URL, so this node has no live metrics');
  }
  await warnOfTemporal(terminal, joined);
  if (asService) await installUnits(joined.roles.map(({ unit }) => unit));
  terminal.document({ joined: true, nodeId: joined.nodeId, address, dir: node.dir, services: asService, findings });
  if (asService) {
    terminal.line(`running: ${joined.roles.map(({ unit }) => unit.name).join(', ')}`);
  } else if (options.run) await runRoles(joined.roles, context.checkout, signal);
  else tellCommands(terminal, joined);
}

function show({ paint, line }: Terminal, { name, level, detail, fix }: HostFinding): void {
  const signs = { ok: paint.green('✓'), warning: paint.yellow('!'), refused: paint.red('✗') };
  line(`${signs[level]} ${name.padEnd(16)}${plainText(detail)}`);
  if (fix !== undefined) line(`  ${''.padEnd(16)}→ ${fix}`);
}

function tellPlan(
  terminal: Terminal,
  of: { node: WantedNode; host: Installed; findings: readonly HostFinding[]; asService: boolean },
): void {
  const { node, host, findings, asService } = of;
  const roles = hostRoles(node, host, { hasStreamer: true });
  const secret = [node.dir, payloadKeyFile(node), ...roles.map(({ environmentFile }) => environmentFile)];
  const units = asService ? roles.map(({ unit }) => ({ path: unitPath(unit), text: unit.text })) : [];
  terminal.document({ joined: false, dryRun: true, address: host.address, findings, secret, units });
  terminal.line(`would be reached at ${host.address}, and write, for this user alone:`);
  for (const path of secret) terminal.line(`  ${path}`);
  for (const { path, text } of units) terminal.line(`and ${path}:\n${text.trimEnd().replaceAll(/^/gm, '  ')}`);
}

/** The node tries on for ever; whoever joins it learns at once why nothing happens. */
async function warnOfTemporal(terminal: Terminal, { membership }: JoinedNode): Promise<void> {
  const { hostname, port } = new URL(`tcp://${membership.temporalAddress}`);
  if (await isPortOpen({ host: hostname, port: Number(port), timeoutMs: ANSWER_TIMEOUT_MS })) return;
  terminal.note(`Temporal does not answer at ${membership.temporalAddress}, where the API says that it is`);
  terminal.note('→ let this host reach it, or set JOIN_TEMPORAL_ADDRESS of the API and join again with a new token');
}

function tellCommands(terminal: Terminal, { roles }: JoinedNode): void {
  terminal.line('start on this host, and keep running:');
  for (const { command } of roles) terminal.line(`  ${command.join(' ')}`);
}
