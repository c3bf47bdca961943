import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { installUnits } from './systemd.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'obiente-systemd-'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(dir, { recursive: true });
});

/** Puts a program in the place of systemctl, which writes down how it was called. */
async function standIn(rest: string): Promise<void> {
  await writeFile(join(dir, 'systemctl'), `#!/bin/sh\necho "$@" >> ${dir}/calls\n${rest}\n`);
  await chmod(join(dir, 'systemctl'), 0o755);
  vi.stubEnv('PATH', `${dir}:${process.env.PATH}`);
}

const units = ['node', 'streamer'].map((role) => ({ name: `obiente-${role}.service`, text: `[Unit] ${role}\n` }));

it('units are written, and started now and at each boot', async () => {
  await standIn('exit 0');
  await installUnits(units, dir);
  expect(await readFile(join(dir, 'obiente-node.service'), 'utf8')).toBe('[Unit] node\n');
  const both = 'obiente-node.service obiente-streamer.service';
  const calls = ['daemon-reload', `enable ${both}`, `restart ${both}`];
  expect(await readFile(join(dir, 'calls'), 'utf8')).toBe(calls.map((call) => `${call}\n`).join(''));
});

it('what systemd says when it refuses is told', async () => {
  await standIn('echo "Access denied" >&2; exit 1');
  await expect(installUnits(units, dir)).rejects.toMatchObject({
    ...{ code: 'CONFIGURATION', message: expect.stringContaining('Access denied') },
    hint: expect.stringContaining('--no-service'),
  });
});
