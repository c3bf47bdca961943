import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Dockerode from 'dockerode';
import { eventually } from './eventually.ts';

/** A daemon beside the machine's own one, with images and containers of its own. */
export interface SecondDocker {
  readonly socketPath: string;
  readonly client: Dockerode;
  /** Ends it with all that it holds. */
  remove(): Promise<void>;
}

/** Where distributions put it. */
const PROGRAMS = ['/usr/bin/dockerd', '/usr/sbin/dockerd', '/usr/local/bin/dockerd'];

/**
 * Starts a second daemon. It lives in a network of its own without any way out, where it cannot disturb the first one's;
 * so its containers have no ports that can be reached. Needs root, or `sudo` that does not ask.
 */
export async function startSecondDocker(): Promise<SecondDocker> {
  const dir = await mkdtemp(join(tmpdir(), 'obiente-docker-'));
  const socketPath = join(dir, 'docker.sock');
  const namespace = `obiente-test-${dir.slice(-6)}`;
  const daemon = asRoot([
    ...[
      'unshare',
      '--net',
      '--',
      findProgram(),
      '--host',
      `unix://${socketPath}`,
      '--group',
      String(process.getgid?.()),
    ],
    ...['--data-root', join(dir, 'data'), '--exec-root', join(dir, 'exec'), '--pidfile', join(dir, 'docker.pid')],
    ...['--bridge', 'none', '--iptables=false', '--ip6tables=false', '--ip-forward=false'],
    ...['--containerd-namespace', namespace, '--containerd-plugins-namespace', `${namespace}-plugins`],
  ]);
  let said = '';
  daemon.stderr?.on('data', (text) => {
    said = `${said}${text}`.slice(-4_000);
  });
  const client = new Dockerode({ socketPath });
  const remove = async (): Promise<void> => {
    await ended(daemon, 'SIGTERM');
    await ended(asRoot(['rm', '-rf', dir]));
  };
  try {
    await eventually(async () => {
      if (daemon.exitCode === null) await client.ping();
    });
    if (daemon.exitCode !== null) throw new Error('it has ended');
  } catch (error) {
    await remove();
    throw new Error(`a second docker daemon does not start: ${said}`, { cause: error });
  }
  return {
    socketPath,
    client,
    remove: async () => {
      for (const { Id } of await client.listContainers({ all: true })) {
        await client.getContainer(Id).remove({ force: true, v: true });
      }
      await remove();
    },
  };
}

function findProgram(): string {
  const found = PROGRAMS.find((path) => {
    try {
      accessSync(path);
      return true;
    } catch {
      // It is at one of the others.
      return false;
    }
  });
  if (found !== undefined) return found;
  throw new Error(`there is no dockerd at ${PROGRAMS.join(', ')}`);
}

function asRoot(command: readonly string[]): ChildProcess {
  const [program = '', ...args] = process.getuid?.() === 0 ? command : ['sudo', '-n', ...command];
  return spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

async function ended(child: ChildProcess, signal?: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((resolve) => child.once('exit', resolve));
  if (signal) child.kill(signal);
  await exit;
}
