import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import Dockerode from 'dockerode';
import { FACTS_FILE, type GuestFacts, SHARES } from './shares.ts';

/** Vitest writes below the checkout, which is shared to be read only: what it writes stays in the guest's memory. */
const CHECKOUT = '/work';
const LAYERS = '/run/layers';

const run = (command: string, ...args: string[]): string => execFileSync(command, args, { encoding: 'utf8' });

/**
 * What the guest is booted for, as its only service: the suites with each driver that is named, one after the other. It is
 * switched off when this has ended, however it ended. systemd shows on the console what is printed.
 */
mountCheckout();
for (const driver of process.argv.slice(2)) {
  startDocker(driver);
  await runSuites(driver);
}
writeFileSync(join(SHARES.results, FACTS_FILE), JSON.stringify(await ownFacts()));

function mountCheckout(): void {
  for (const folder of ['upper', 'work']) mkdirSync(join(LAYERS, folder), { recursive: true });
  mkdirSync(CHECKOUT);
  const layers = [`lowerdir=${SHARES.checkout}`, `upperdir=${LAYERS}/upper`, `workdir=${LAYERS}/work`];
  run('mount', '-t', 'overlay', '-o', layers.join(','), 'overlay', CHECKOUT);
}

/** systemd waits until the daemon says that it is ready. */
function startDocker(driver: string): void {
  mkdirSync('/etc/docker', { recursive: true });
  writeFileSync('/etc/docker/daemon.json', JSON.stringify({ 'exec-opts': [`native.cgroupdriver=${driver}`] }));
  run('systemctl', 'restart', 'docker.service');
}

async function runSuites(driver: string): Promise<void> {
  const config = ['--config', 'test/cgroup2/vitest.config.ts'];
  const reporters = ['--reporter=verbose', '--reporter=json', `--outputFile.json=${SHARES.results}/${driver}.json`];
  const vitest = spawn(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', ...config, ...reporters], {
    cwd: CHECKOUT,
    stdio: 'inherit',
    env: { ...process.env, CGROUP_DRIVER: driver, HOME: '/root', NO_COLOR: '1' },
  });
  await once(vitest, 'exit');
}

async function ownFacts(): Promise<GuestFacts> {
  const { Version } = await new Dockerode({ socketPath: '/var/run/docker.sock' }).version();
  const [systemd = ''] = run('systemctl', '--version').split('\n');
  return { kernel: release(), systemd, docker: Version };
}
