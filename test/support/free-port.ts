import { mkdir, open, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where each port that was given away has a file, for all tests of this user on this machine. */
const GIVEN_AWAY = join(tmpdir(), `obiente-test-ports-${process.getuid?.()}`);

/** By then whoever was given a port has bound it, or never will. */
const GIVEN_FOR_MS = 10 * 60_000;

/**
 * A TCP port of loopback that is free and that nobody else is given for a while, outside the range that outgoing
 * connections take theirs from. Platforms that start side by side would else meet at one that neither has bound yet.
 */
export async function freePort(): Promise<number> {
  await mkdir(GIVEN_AWAY, { recursive: true });
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    if ((await isFree(port)) && (await take(join(GIVEN_AWAY, String(port))))) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}

async function take(file: string): Promise<boolean> {
  const found = await stat(file).catch(() => undefined);
  if (found && Date.now() - found.mtimeMs < GIVEN_FOR_MS) return false;
  if (found) await rm(file, { force: true });
  try {
    await (await open(file, 'wx')).close();
    return true;
  } catch {
    return false;
  }
}
