import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';

test('a role keeps what it has compiled although it never ends in order', async () => {
  const stateDir = await mkdtemp(join(tmpdir(), 'obiente-compiled-'));
  const compiled = join(stateDir, 'compiled');
  const role = spawn(process.execPath, [join(import.meta.dirname, '../../cli/main.ts'), 'dev-oidc'], {
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    env: { NODE_COMPILE_CACHE: compiled, OBIENTE_STATE_DIR: stateDir, OIDC_PORT: String(await freePort()) },
  });
  try {
    expect((await once(role, 'message'))[0]).toBe('ready');
    await eventually(async () => expect(await filesIn(compiled)).toBeGreaterThan(100));
  } finally {
    role.kill('SIGKILL');
    await once(role, 'exit');
    await rm(stateDir, { recursive: true });
  }
});

async function filesIn(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).length;
}
