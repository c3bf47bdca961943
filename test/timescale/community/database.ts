import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { TestDatabase } from '../../support/postgres.ts';

/**
 * Starts TimescaleDB's community edition, compiled to WebAssembly, with one empty database in memory.
 *
 * It has no background workers, so policies run when they are told to; and connections take turns.
 *
 * @param folder the package's, as `ensureTimescaleCommunity` gives it.
 */
export async function startCommunityDatabase(folder: string): Promise<TestDatabase> {
  const server = spawn(process.execPath, [join(import.meta.dirname, 'server.ts'), folder], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const ended = once(server, 'exit');
  const failed = ended.then(([code]) => Promise.reject(new Error(`the community edition ended with ${code}`)));
  failed.catch(() => undefined);
  const [{ port }] = (await Promise.race([once(server, 'message'), failed])) as [{ port: number }];
  return {
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    drop: async () => {
      server.kill('SIGKILL');
      await ended;
    },
  };
}
