import { startDockerOn } from '../test/cluster/cluster-node.ts';
import { dockerdOfVersion } from '../test/cluster/docker-tree.ts';
import { openClusterNetwork } from '../test/cluster/network.ts';
import { cleaningUp } from './clean-up.ts';
import { againstFloor, type Bench, type Figure } from './figure.ts';

const VERSION = '28';
const SIZES = [10, 50, 150];

/** One-shot answers of this engine do not wait, so many rounds can be had. */
const ROUNDS = 40;

/** Rounds by files and by Docker on the newest engine that can be had, on a host of its own. */
export const bench: Bench = {
  name: 'metrics-docker-28',
  about: 'rounds of 10, 50 and 150 containers on Docker Engine 28, which is fetched (5 min)',
  run: () =>
    cleaningUp(async (stack) => {
      const network = await openClusterNetwork(stack);
      const host = await network.addHost('engine');
      const { socketPath } = await startDockerOn(stack, host, { program: await dockerdOfVersion(host, VERSION) });
      // What is loaded from here on works with this daemon.
      process.env.DOCKER_SOCKET = socketPath;
      const { openTestDocker } = await import('../test/support/docker.ts');
      const { growTo } = await import('./collection/containers.ts');
      const { measureRounds } = await import('./collection/rounds.ts');
      const corner = await openTestDocker({ socketPath });
      const containers = new Map();
      const figures: Figure[] = [];
      for (const size of SIZES) {
        await growTo(corner, containers, size);
        const { files, bareFiles, filesCpu, docker, barePool } = await measureRounds(containers, ROUNDS);
        figures.push(
          againstFloor({ name: `${size} by files, p50`, value: files, floor: bareFiles, maxRatio: 3 }),
          againstFloor({ name: `${size} by Docker, p50`, value: docker, floor: barePool, maxRatio: 1.1 }),
          ...timesFaster(size, { byTime: barePool / files, byCpu: barePool / filesCpu }),
        );
      }
      return figures;
    }),
};

/** On shared cores the time of a round by files is mostly other processes' turns, so the same by its CPU stands beside it. */
function timesFaster(size: number, { byTime, byCpu }: { byTime: number; byCpu: number }): Figure[] {
  const figure = { unit: '×', floor: null, ratio: null };
  const name = `${size} by files, times faster`;
  return [
    { ...figure, name, value: byTime, goal: '>= 10 ×', holds: byTime >= 10 },
    { ...figure, name: `${name}, by CPU`, value: byCpu, goal: null, holds: true },
  ];
}
