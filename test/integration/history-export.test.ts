import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { obiente, openApi } from '../support/platform.ts';
import { useTestDocker } from '../support/test-docker.ts';
import { aWebServer, createSubject } from './deployed.ts';
import { platformOfWorker } from './platforms.ts';

const REPLAY = join(import.meta.dirname, '../replay/main.ts');

const platform = platformOfWorker();
const api = openApi(platform);
const docker = useTestDocker();
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'obiente-history-'));
});
afterAll(async () => {
  api.close();
  await rm(folder, { recursive: true, force: true });
});

describe("the history of an operation's workflow", { timeout: 240_000 }, () => {
  it('is written to a file, holds no secret, and is replayed away from the platform', async () => {
    const subject = await createSubject(api, aWebServer(docker.corner.image, 'canary-in-history'));
    const { id } = await subject.outcome();
    const file = join(folder, 'operation.history');
    const exported = await obiente(platform, 'operation', id, '--history', file);
    expect(exported).toMatchObject({ code: 0, stdout: expect.stringContaining('encrypted') });
    const history = (await readFile(file)).toString('latin1');
    expect(history).toContain('ensureReplica');
    expect(history).not.toContain('canary-in-history');
    expect((await stat(file)).mode & 0o777).toBe(0o600);

    const replay = promisify(execFile);
    const key = join(platform.stateDir, 'keys', 'payload.key');
    const { stdout } = await replay(process.execPath, [REPLAY, file, '--key', key]);
    expect(stdout).toMatch(/^✓ .*operation\.history: \d+ events\n$/);
    const other = join(platform.stateDir, 'keys', 'master.key');
    await expect(replay(process.execPath, [REPLAY, file, '--key', other])).rejects.toMatchObject({ code: 1 });
    await subject.remove();
  });

  it('leaves no file when there is none', async () => {
    const file = join(folder, 'nothing');
    const refused = await obiente(platform, 'operation', '00000000-0000-4000-8000-000000000000', '--history', file);
    expect(refused.code).toBe(4);
    await expect(stat(file)).rejects.toThrow('ENOENT');
    await expect(stat(`${file}.unfinished`)).rejects.toThrow('ENOENT');
  });
});
