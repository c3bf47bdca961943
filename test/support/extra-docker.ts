import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Dockerode from 'dockerode';
import { eventually } from './eventually.ts';

/** A daemon beside the machine's own one, with images and containers of its own. */
export interface ExtraDocker {
  readonly socketPath: string;
  readonly client: Dockerode;
  /** Halts a process of it where it stands; what it runs goes on. */
  freeze(process?: DaemonProcess): Promise<void>;
  thaw(process?: DaemonProcess): Promise<void>;
  /** Ends its process as `kill -9` does; what it runs goes on. */
  kill(): Promise<void>;
  /** Starts it again after that. Resolves when it answers. */
  start(): Promise<void>;
  /** Fills its disk to the last byte; for a daemon with a disk of its own. */
  fillDisk(): Promise<void>;
  /** Takes away what filled it. */
  freeDisk(): Promise<void>;
  /** Ends it with all that it holds. */
  remove(): Promise<void>;
}

/** What an engine consists of: what answers calls, and what it has containers run by. */
export type DaemonProcess = 'dockerd' | 'containerd';

/** Where each writes its pid. */
const PID_FILES: Readonly<Record<DaemonProcess, string>> = {
  dockerd: 'docker.pid',
  containerd: 'exec/containerd/containerd.pid',
};

/** Where a daemon lives. */
export interface DockerHome {
  /** What a command begins with that shall run there. */
  readonly enter: readonly string[];
  /** What starts a daemon there, by default the machine's own. */
  readonly program?: readonly string[];
  /** How its containers are reached. */
  readonly networking: readonly string[];
  /** Settings that differ from those of a production host. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Size of a disk of its own for its images and containers, bytes; in memory. */
  readonly diskBytes?: number;
}

/** A network without any way out: the daemon cannot disturb the first one's, and its containers have no ports. */
const NOWHERE: DockerHome = {
  enter: ['unshare', '--net', '--'],
  networking: ['--bridge', 'none', '--iptables=false', '--ip6tables=false', '--ip-forward=false'],
};

/** What a production host is told as well: containers outlive the daemon. */
const SETTINGS = { 'live-restore': true, 'log-opts': { 'max-size': '10m', 'max-file': '3' } };

/** Where distributions put it. */
const PROGRAMS = ['/usr/bin/dockerd', '/usr/sbin/dockerd', '/usr/local/bin/dockerd'];

/** Starts one more daemon, by default in a network of its own. Needs root, or `sudo` that does not ask. */
export async function startExtraDocker(home: DockerHome = NOWHERE): Promise<ExtraDocker> {
  const dir = await mkdtemp(join(tmpdir(), 'obiente-docker-'));
  const socketPath = join(dir, 'docker.sock');
  const client = new Dockerode({ socketPath });
  await writeFile(join(dir, 'daemon.json'), JSON.stringify({ ...SETTINGS, ...home.settings }));
  const dataRoot = join(dir, 'data');
  if (home.diskBytes !== undefined) await mountDisk(home.enter, dataRoot, home.diskBytes);
  const ballast = join(dataRoot, 'ballast');
  const command = [...home.enter, ...(home.program ?? [findProgram()]), ...argumentsIn(dir), ...home.networking];
  let daemon: ChildProcess | undefined;

  const start = async (): Promise<void> => {
    // In a session of its own: an interrupt at the terminal is for the test, which then removes what there is.
    const started = asRoot(command, { detached: true });
    daemon = started;
    let said = '';
    started.stderr?.on('data', (text) => {
      said = `${said}${text}`.slice(-4_000);
    });
    try {
      await eventually(async () => {
        if (!hasEnded(started)) await client.ping();
      });
      if (hasEnded(started)) throw new Error('it has ended');
    } catch (error) {
      throw new Error(`another docker daemon does not start: ${said}`, { cause: error });
    }
  };
  const signal = async (name: string, process: DaemonProcess = 'dockerd'): Promise<void> => {
    const pid = (await readFile(join(dir, PID_FILES[process]), 'utf8')).trim();
    await ended(asRoot(['kill', `-${name}`, pid]));
  };
  const kill = async (): Promise<void> => {
    await signal('KILL');
    if (daemon) await ended(daemon);
    // By these it would take others for its own former processes, and wait for them.
    await ended(asRoot(['rm', '-f', ...Object.values(PID_FILES).map((file) => join(dir, file))]));
  };
  const end = async (): Promise<void> => {
    if (daemon && !hasEnded(daemon)) {
      daemon.kill('SIGTERM');
      await ended(daemon);
    }
    if (home.diskBytes !== undefined) await ended(asRoot([...home.enter, 'umount', '--lazy', dataRoot]));
    await ended(asRoot(['rm', '-rf', dir]));
  };
  const removeContainers = async (): Promise<void> => {
    if (!daemon || hasEnded(daemon)) await start();
    else for (const process of ['dockerd', 'containerd'] as const) await signal('CONT', process);
    for (const { Id } of await client.listContainers({ all: true })) {
      await client.getContainer(Id).remove({ force: true, v: true });
    }
  };
  await start().catch(async (error: unknown) => {
    await end();
    throw error;
  });
  return {
    socketPath,
    client,
    freeze: (process) => signal('STOP', process),
    thaw: (process) => signal('CONT', process),
    kill,
    start,
    fillDisk: async () => {
      if (home.diskBytes === undefined) throw new Error('it has no disk of its own');
      await ended(asRoot([...home.enter, 'dd', 'if=/dev/zero', `of=${ballast}`, 'bs=1M']));
    },
    freeDisk: () => ended(asRoot([...home.enter, 'rm', '-f', ballast])),
    remove: () => removeContainers().finally(end),
  };
}

/** Where the daemon lives, and nowhere else. */
async function mountDisk(enter: readonly string[], dataRoot: string, bytes: number): Promise<void> {
  await mkdir(dataRoot);
  const mounting = asRoot([...enter, 'mount', '-t', 'tmpfs', '-o', `size=${bytes}`, 'obiente-test', dataRoot]);
  await ended(mounting);
  if (mounting.exitCode !== 0)
    throw new Error(`no disk of its own for a daemon: mount ended with ${mounting.exitCode}`);
}

function argumentsIn(dir: string): string[] {
  const namespace = `obiente-test-${dir.slice(-6)}`;
  return [
    ...['--config-file', join(dir, 'daemon.json')],
    ...['--host', `unix://${join(dir, 'docker.sock')}`, '--group', String(process.getgid?.())],
    ...['--data-root', join(dir, 'data'), '--exec-root', join(dir, 'exec'), '--pidfile', join(dir, PID_FILES.dockerd)],
    ...['--containerd-namespace', namespace, '--containerd-plugins-namespace', `${namespace}-plugins`],
  ];
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

function asRoot(command: readonly string[], options: { readonly detached?: boolean } = {}): ChildProcess {
  const [program = '', ...args] = process.getuid?.() === 0 ? command : ['sudo', '-n', ...command];
  return spawn(program, args, { ...options, stdio: ['ignore', 'ignore', 'pipe'] });
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

async function ended(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return;
  await new Promise((resolve) => child.once('exit', resolve));
}
