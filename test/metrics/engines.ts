import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { cleaningUp } from '../../bench/clean-up.ts';
import { startDockerOn } from '../cluster/cluster-node.ts';
import { dockerdOfVersion } from '../cluster/docker-tree.ts';
import { openClusterNetwork } from '../cluster/network.ts';

const ROOT = join(import.meta.dirname, '../..');

/**
 * Runs what the sources of metrics promise on each of these Docker Engines, one after the other, each on a host of its own.
 *
 * @param versions as `dockerdOfVersion` knows them.
 * @returns whether all of it holds on all of them.
 */
export async function proveEngines(versions: readonly string[]): Promise<boolean> {
  let holds = true;
  for (const version of versions) {
    await cleaningUp(async (stack) => {
      const network = await openClusterNetwork(stack);
      const host = await network.addHost('engine');
      const docker = await startDockerOn(stack, host, { program: await dockerdOfVersion(host, version) });
      const { Version } = await docker.client.version();
      process.stdout.write(`\nDocker Engine ${Version}\n`);
      holds = (await runSuite(docker.socketPath)) && holds;
    });
  }
  return holds;
}

async function runSuite(socketPath: string): Promise<boolean> {
  const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
  const config = join(import.meta.dirname, 'vitest.config.ts');
  const suite = spawn(process.execPath, [vitest, 'run', '--config', config], {
    ...{ cwd: ROOT, stdio: 'inherit', env: { ...process.env, DOCKER_SOCKET: socketPath } },
  });
  const [code] = (await once(suite, 'exit')) as [number | null];
  return code === 0;
}
