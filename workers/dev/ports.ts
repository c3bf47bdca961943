import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { basename } from 'node:path';
import { DomainError } from '../../domain/errors.ts';

/** A port that is about to be listened on, and the variable that chooses it. */
export interface WantedPort {
  readonly variable: string;
  readonly host: string;
  readonly port: number;
}

/**
 * Checks that nobody listens on these ports, all of them at once.
 *
 * @throws CONFIGURATION naming each port that is taken, its variable and, where it can be seen, the process.
 */
export async function assertPortsFree(wanted: readonly WantedPort[]): Promise<void> {
  const checked = await Promise.all(wanted.map(async (one) => ((await isFree(one)) ? [] : [one])));
  const taken = checked.flat();
  if (taken.length === 0) return;
  const findings = taken.map(({ variable, port }) => `port ${port} (${variable}) is taken${describeOwner(port)}`);
  throw new DomainError('CONFIGURATION', `cannot start: ${findings.join('; ')}`, {
    hint: `End that process, or set ${taken.map(({ variable }) => variable).join(', ')} to another port.`,
  });
}

/** EACCES is no sign of a taken port; the process that listens there will say it better. */
function isFree({ host, port }: WantedPort): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'EADDRINUSE'));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

function describeOwner(port: number): string {
  const pid = findListener(port);
  if (pid === undefined) return '';
  // The name of its program, since that of its first thread says nothing for some (Node: "MainThread").
  const [program = ''] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  return ` by ${basename(program)} (pid ${pid})`;
}

/** State of a listening socket in /proc/net/tcp. */
const LISTENING = '0A';

function findListener(port: number): string | undefined {
  try {
    const inodes = new Set(['tcp', 'tcp6'].flatMap((table) => listeningInodes(table, port)));
    const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    return inodes.size === 0 ? undefined : pids.find((pid) => holdsSocket(pid, inodes));
  } catch {
    // No /proc, or the process has just ended: the port is named without its owner.
    return undefined;
  }
}

function listeningInodes(table: string, port: number): string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return readFileSync(`/proc/net/${table}`, 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[1]?.endsWith(suffix) && fields[3] === LISTENING)
    .flatMap((fields) => fields[9] ?? []);
}

function holdsSocket(pid: string, inodes: ReadonlySet<string>): boolean {
  return listOrNone(`/proc/${pid}/fd`).some((fd) => {
    try {
      return inodes.has(/^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? '');
    } catch {
      // Closed since it was listed.
      return false;
    }
  });
}

function listOrNone(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    // Another user's process, or one that has just ended.
    return [];
  }
}
