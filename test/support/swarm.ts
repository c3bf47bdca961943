import { randomBytes } from 'node:crypto';
import { createSwarm } from '../../adapters/docker/swarm/swarm.ts';
import { LABEL } from '../../domain/naming.ts';
import { startDockerOn } from '../cluster/cluster-node.ts';
import { bindToAddress, formSwarm, SWARM_SETTINGS } from '../cluster/form-swarm.ts';
import { openClusterNetwork } from '../cluster/network.ts';
import { copyImage } from './copy-image.ts';
import { openTestDocker, type TestDocker } from './docker.ts';

/** A swarm of one host of its own, for the tests of a file. */
export interface TestSwarm extends TestDocker {
  readonly address: string;
  /** What the adapter told of the host. */
  readonly weaknesses: readonly string[];
  /** Takes the network from the first host, which is the one that is tried. */
  cutOff(): Promise<void>;
  joinAgain(): Promise<void>;
}

/** Opens the swarm, with further managers if they are wanted. Needs root. */
export async function openTestSwarm({ managers = 1 } = {}): Promise<TestSwarm> {
  const stack = new AsyncDisposableStack();
  try {
    const source = await openTestDocker();
    stack.defer(source.remove);
    const network = await openClusterNetwork(stack);
    const host = await network.addHost('swarm');
    const { client, socketPath } = await startDockerOn(stack, host, { settings: SWARM_SETTINGS });
    await copyImage(source.image, source.client, client);
    await bindToAddress({ address: host.address, docker: { client } });
    const members = [{ address: host.address, docker: { client } }];
    for (let index = members.length; index < managers; index += 1) {
      const other = await network.addHost(`swarm-${index}`);
      members.push({ address: other.address, docker: await startDockerOn(stack, other, { settings: SWARM_SETTINGS }) });
    }
    await formSwarm(stack, members);
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
      ...{ cutOff: host.unplug, joinAgain: host.plug },
      remove: () => stack.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}
