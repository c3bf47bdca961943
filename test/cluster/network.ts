import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { eventually } from '../support/eventually.ts';

const run = promisify(execFile);

/** A network that joins hosts on one machine, beside everything else that the machine has. */
export interface ClusterNetwork {
  /** Address of this machine in it: what hosts reach the control plane at. */
  readonly address: string;
  /** Adds a host with one cable. */
  addHost(name: string): Promise<HostNetwork>;
}

/** A host: network, mounts and a name of its own. */
export interface HostNetwork {
  readonly address: string;
  /** What a command begins with that shall run there. */
  readonly enter: readonly string[];
  /** Unplugs its cable at the other end: nothing comes through any more, and nobody is told. */
  unplug(): Promise<void>;
  plug(): Promise<void>;
}

/** Addresses for tests of networks (RFC 2544), which no real network has; a third number is drawn for each run. */
const PREFIX = '198.18';

/** The machine's own end. Hosts begin after it. */
const MACHINE = 1;

/**
 * Opens a network. The switch has a namespace of its own, so that the machine's firewall has no part in what passes from
 * host to host. Needs root. Everything is gone with the processes that hold the namespaces, which end with this one.
 */
export async function openClusterNetwork(stack: AsyncDisposableStack): Promise<ClusterNetwork> {
  const subnet = `${PREFIX}.${randomInt(1, 255)}`;
  const address = `${subnet}.${MACHINE}`;
  const link = `obiente${randomInt(100_000, 1_000_000)}`;
  const within = await holdNamespaces(stack);
  await within.ip('link', 'add', 'switch', 'type', 'bridge');
  await within.ip('link', 'set', 'switch', 'up');
  await run('ip', ['link', 'add', link, 'type', 'veth', 'peer', 'name', 'machine', 'netns', String(within.pid)]);
  await run('ip', ['address', 'add', `${address}/24`, 'dev', link]);
  await run('ip', ['link', 'set', link, 'up']);
  await within.ip('link', 'set', 'machine', 'master', 'switch', 'up');

  let hosts = MACHINE;
  const addHost = async (name: string): Promise<HostNetwork> => {
    hosts += 1;
    const [own, port] = [`${subnet}.${hosts}`, `host${hosts}`];
    const host = await holdNamespaces(stack);
    await run('nsenter', [...host.flags, '--', 'hostname', name]);
    await within.ip('link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(host.pid));
    await within.ip('link', 'set', port, 'master', 'switch', 'up');
    await host.ip('address', 'add', `${own}/24`, 'dev', 'eth0');
    await host.ip('link', 'set', 'eth0', 'up');
    await host.ip('link', 'set', 'lo', 'up');
    return {
      address: own,
      enter: ['nsenter', ...host.flags, '--'],
      unplug: () => within.ip('link', 'set', port, 'down'),
      plug: () => within.ip('link', 'set', port, 'up'),
    };
  };
  return { address, addHost };
}

interface HeldNamespaces {
  readonly pid: number;
  /** What enters them with `nsenter`. */
  readonly flags: readonly string[];
  ip(...args: readonly string[]): Promise<void>;
}

/** The process waits for an input that never comes and ends with this one, however that ends. */
async function holdNamespaces(stack: AsyncDisposableStack): Promise<HeldNamespaces> {
  const holder = spawn('unshare', ['--net', '--mount', '--uts', '--', 'cat'], {
    detached: true,
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  stack.defer(() => endOf(holder));
  const pid = holder.pid;
  if (pid === undefined) throw new Error('unshare cannot be started');
  await eventually(() => {
    if (holder.exitCode !== null) throw new Error('namespaces cannot be made: this needs root');
    if (readFileSync(`/proc/${pid}/comm`, 'utf8').trim() !== 'cat') throw new Error('not there yet');
  });
  const flags = ['--target', String(pid), '--net', '--mount', '--uts'];
  const ip = async (...args: readonly string[]): Promise<void> => {
    await run('nsenter', [...flags, '--', 'ip', ...args]);
  };
  return { pid, flags, ip };
}

async function endOf(holder: ChildProcess): Promise<void> {
  if (holder.exitCode !== null || holder.signalCode !== null) return;
  const exit = new Promise((resolve) => holder.once('exit', resolve));
  holder.stdin?.end();
  await exit;
}
