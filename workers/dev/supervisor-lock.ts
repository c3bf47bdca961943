import { createHash } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { DomainError } from '../../domain/errors.ts';

/**
 * Makes this process the only supervisor of a state folder until `release` or its end.
 *
 * The lock is a socket in the kernel's abstract name space: taking it is atomic, and it goes with the process however
 * that ends, so there is no stale lock to judge. Whoever connects is told the pid.
 *
 * @throws CONFIGURATION when another supervisor has it, naming its pid.
 */
export async function lockStateDir(stateDir: string): Promise<{ release(): Promise<void> }> {
  const digest = createHash('sha256').update(realpathSync(stateDir)).digest('hex').slice(0, 32);
  const path = `\0obiente-supervisor-${digest}`;
  const server = createServer((socket) => socket.on('error', () => {}).end(String(process.pid)));
  try {
    await listen(server, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw new DomainError('CONFIGURATION', `cannot start on ${stateDir}: it is run by process ${await ask(path)}`, {
      hint: 'Stop that process, or give this one a state folder of its own in OBIENTE_STATE_DIR.',
    });
  }
  server.unref();
  return { release: () => new Promise((resolve) => server.close(() => resolve())) };
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
}

function ask(path: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(path).setEncoding('utf8').setTimeout(1_000);
    socket.on('data', (pid) => resolve(String(pid)));
    for (const event of ['error', 'timeout', 'close']) socket.on(event, () => resolve('(unknown)'));
  });
}
