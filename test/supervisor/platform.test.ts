import { spawn } from 'node:child_process';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findStaleProcesses } from '../../workers/dev/pid-files.ts';
import { type Platform, startPlatform } from '../../workers/dev/platform.ts';
import { eventually } from '../support/eventually.ts';
import { createTestInstallation, type TestInstallation } from '../support/installation.ts';

const SUPERVISOR = join(import.meta.dirname, '../../workers/dev.ts');
const MEMBERS = ['postgres', 'temporal', 'dev-oidc', 'traefik', 'api', 'orchestrator', 'node', 'streamer'];

describe('a platform under its supervisor', () => {
  let installation: TestInstallation;
  let platform: Platform | undefined;

  beforeAll(async () => {
    installation = await createTestInstallation();
    platform = await startPlatform(installation);
  }, 180_000);

  afterAll(async () => {
    await platform?.stop();
    await installation.remove();
  }, 180_000);

  function running(): Platform {
    if (!platform) throw new Error('the platform does not run');
    return platform;
  }

  function pids(): Record<string, number | undefined> {
    return Object.fromEntries(running().processes.map((one) => [one.name, one.pid()]));
  }

  async function expectWorking(): Promise<void> {
    const { api, traefikInternal, temporalUi } = running().addresses;
    await eventually(async () => expect((await fetch(`${api}/health`)).status).toBe(200));
    await eventually(async () => {
      const answer = await fetch(`${traefikInternal}/.obiente/generation`);
      expect(answer.headers.get('x-obiente-generation')).toMatch(/^\d+$/);
    });
    expect((await fetch(temporalUi)).status).toBe(200);
  }

  it('runs every process, and works', async () => {
    expect(running().processes.map(({ name }) => name)).toEqual(MEMBERS);
    await expectWorking();
  });

  it('signs the local command in, and keeps secrets from other users', async () => {
    const file = join(installation.stateDir, 'cli.json');
    expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ apiUrl: running().addresses.api });
    const keys = (await readdir(join(installation.stateDir, 'keys'))).map((name) => join('keys', name));
    for (const name of [...keys, 'cli.json', 'traefik/traefik.yml']) {
      expect([name, (await stat(join(installation.stateDir, name))).mode & 0o077]).toEqual([name, 0]);
    }
  });

  it('is the only one on its state folder', async () => {
    await expect(startPlatform(installation)).rejects.toMatchObject({
      code: 'CONFIGURATION',
      message: expect.stringContaining(`it is run by process ${process.pid}`),
    });
  });

  it('gives the control database and the keys to the control plane alone', async () => {
    const environmentOf = async (name: string): Promise<string> => readFile(`/proc/${pids()[name]}/environ`, 'utf8');
    expect(await environmentOf('api')).toContain('DATABASE_URL=');
    for (const name of ['node', 'streamer']) {
      expect(await environmentOf(name)).not.toMatch(/(^|\0)(DATABASE_URL|MASTER_KEY_FILE|CONTROL_KEY_FILE)=/);
    }
  });

  it.each(MEMBERS)(
    'starts %s again after kill -9, and nothing else',
    async (name) => {
      const before = pids();
      const killed = running().processes.find((one) => one.name === name);
      const starts = killed?.starts() ?? 0;
      killed?.kill('SIGKILL');
      await eventually(() => expect(killed?.starts()).toBe(starts + 1));
      expect(pids()).toEqual({ ...before, [name]: killed?.pid() });
      await expectWorking();
    },
    90_000,
  );

  it('stops everything, and starts again on the same state', async () => {
    await running().stop();
    platform = undefined;
    expect(findStaleProcesses(join(installation.stateDir, 'run'))).toEqual([]);
    platform = await startPlatform(installation);
    await expectWorking();
  }, 180_000);

  it('takes over after kill -9 of the supervisor itself', async () => {
    await running().stop();
    platform = undefined;
    const env = { ...installation.environment };
    const supervisor = spawn(process.execPath, [SUPERVISOR], { env, stdio: ['ignore', 'pipe', 'ignore'] });
    const exit = new Promise((resolve) => supervisor.once('exit', resolve));
    let output = '';
    supervisor.stdout.on('data', (text) => {
      output += text;
    });
    await eventually(() => expect(output).toContain('Obiente Cloud is ready'), { patienceMs: 120_000 });
    supervisor.kill('SIGKILL');
    await exit;
    const left = findStaleProcesses(join(installation.stateDir, 'run'));
    expect(left.map(({ name }) => name).sort()).toEqual(MEMBERS.toSorted());
    platform = await startPlatform(installation);
    await expectWorking();
    expect(Object.values(pids()).filter((pid) => left.some((one) => one.pid === pid))).toEqual([]);
  }, 240_000);
});
