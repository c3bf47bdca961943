import { randomBytes } from 'node:crypto';
import { createSwarm } from '../../adapters/docker/swarm/swarm.ts';
import { LABEL } from '../../domain/naming.ts';
import { copyImage } from '../cluster/cluster.ts';
import { startDockerOn } from '../cluster/cluster-node.ts';
import { bindToAddress, formSwarm, SWARM_SETTINGS } from '../cluster/form-swarm.ts';
import { openClusterNetwork } from '../cluster/network.ts';
import { openTestDocker, type TestDocker } from './docker.ts';

/** A swarm of one host of its own, for the tests of a file. */
export interface TestSwarm extends TestDocker {
  readonly address: string;
  /** What the adapter told of the host. */
  readonly weaknesses: readonly string[];
}

/** Opens the swarm. Needs root. */
export async function openTestSwarm(): Promise<TestSwarm> {
  const stack = new AsyncDisposableStack();
  try {
    const source = await openTestDocker();
    stack.defer(source.remove);
    const network = await openClusterNetwork(stack);
    const host = await network.addHost('swarm');
    const { client, socketPath } = await startDockerOn(stack, host, SWARM_SETTINGS);
    await copyImage(source.image, source.client, client);
    await bindToAddress({ address: host.address, docker: { client } });
    await formSwarm(stack, [{ address: host.address, docker: { client } }]);
    const instance = randomBytes(4).toString('hex');
    const weaknesses: string[] = [];
    const docker = createSwarm({
      ...{ socketPath, instance, nodeAddress: host.address, requestTimeoutMs: 30_000 },
      tell: (weakness) => weaknesses.push(weakness),
    });
    const filters = { label: [`${LABEL.instance}=${instance}`] };
    return {
      ...{ docker, client, instance, weaknesses },
      ...{ image: source.image, address: host.address },
      listContainers: async () => (await client.listContainers({ all: true, filters })).map(({ Id }) => Id),
      remove: () => stack.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}
