import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { isPortOpen } from '../../adapters/probe/port.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';

/** Where sshd, started by root, goes before somebody has signed in; a restart of the machine takes it away. */
const PRIVILEGE_SEPARATION_FOLDER = '/run/sshd';

/** A real sshd of this test on loopback; its user is the one who runs the test. */
export interface SshServer {
  readonly port: number;
  readonly user: string;
  /** Lines of its own host key for `host`, as in known_hosts. */
  knownHosts(host: string): string;
  /** A private key that may sign in. */
  readonly privateKey: string;
  /** Another key, of nobody, and its public half. */
  readonly strangersKey: string;
  readonly strangersPublicKey: string;
  /** Lets the owner of a public key sign in. */
  authorize(publicKey: string): Promise<void>;
  /** What it logged. */
  log(): Promise<string>;
  /** Stops answering on connections that are open and on new ones; ends by `stop`. */
  freeze(): void;
  stop(): Promise<void>;
}

/** Starts an sshd with a configuration, host key and authorized key of its own; resolves when it listens. */
export async function startSshServer({ port: wantedPort }: { port?: number } = {}): Promise<SshServer> {
  const folder = await mkdtemp(join(tmpdir(), 'obiente-sshd-'));
  const port = wantedPort ?? (await freePort());
  makeKey(join(folder, 'host'));
  const privateKey = makeKey(join(folder, 'user'));
  const strangersKey = makeKey(join(folder, 'stranger'));
  const isRoot = process.getuid?.() === 0;
  const config = [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${join(folder, 'host')}`,
    'PidFile none',
    `AuthorizedKeysFile ${join(folder, 'user.pub')}`,
    'StrictModes no',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'PermitRootLogin prohibit-password',
    // Without it the account of a root who has no password counts as locked.
    `UsePAM ${isRoot ? 'yes' : 'no'}`,
    'AcceptEnv GIT_PROTOCOL',
    'LogLevel VERBOSE',
  ];
  await writeFile(join(folder, 'config'), `${config.join('\n')}\n`);
  if (isRoot && !existsSync(PRIVILEGE_SEPARATION_FOLDER)) mkdirSync(PRIVILEGE_SEPARATION_FOLDER, { mode: 0o755 });
  const { path, libraryPath } = await sshdFacts();
  const log = join(folder, 'log');
  const env = { ...process.env, ...(libraryPath === undefined ? {} : { LD_LIBRARY_PATH: libraryPath }) };
  const server = spawn(path, ['-D', '-f', join(folder, 'config'), '-E', log], { env, stdio: 'ignore' });
  await eventually(async () => {
    if (server.exitCode !== null) throw new Error(`sshd has ended: ${await readFile(log, 'utf8')}`);
    if (!(await isPortOpen({ host: '127.0.0.1', port, timeoutMs: 1000 }))) throw new Error('sshd does not listen');
  });
  const [type, key] = (await readFile(join(folder, 'host.pub'), 'utf8')).split(' ');
  const strangersPublicKey = await readFile(join(folder, 'stranger.pub'), 'utf8');
  return {
    ...{ strangersPublicKey, port, user: userInfo().username, privateKey, strangersKey },
    knownHosts: (host) => `[${host}]:${port} ${type} ${key}`,
    authorize: (key) => appendFile(join(folder, 'user.pub'), `${key}\n`),
    log: () => readFile(log, 'utf8'),
    freeze: () => void server.kill('SIGSTOP'),
    stop: async () => {
      await ended(server);
      await rm(folder, { recursive: true });
    },
  };
}

/** Makes a key pair and answers with the private half. */
function makeKey(file: string): string {
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'test', '-f', file]);
  return readFileSync(file, 'utf8');
}

async function sshdFacts(): Promise<{ path: string; libraryPath?: string }> {
  const stateDir = process.env.OBIENTE_STATE_DIR ?? join(import.meta.dirname, '../../.obiente');
  const toolchain = JSON.parse(await readFile(join(stateDir, 'toolchain.json'), 'utf8')) as {
    sshd: { path: string; libraryPath?: string };
  };
  return toolchain.sshd;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await exit;
}
