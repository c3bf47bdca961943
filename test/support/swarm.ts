import { randomBytes } from 'node:crypto';
import type Dockerode from 'dockerode';
import { createSwarm } from '../../adapters/docker/swarm/swarm.ts';
import { LABEL } from '../../domain/naming.ts';
import { copyImage } from '../cluster/cluster.ts';
import { startDockerOn } from '../cluster/cluster-node.ts';
import { openClusterNetwork } from '../cluster/network.ts';
import { openTestDocker, type TestDocker } from './docker.ts';

/** What a daemon of a swarm is told beside the rest: none can let containers outlive it, and old ones need this said. */
export const SWARM_SETTINGS = { 'live-restore': false, 'no-new-privileges': true };

/** A host that is to be in a swarm. */
export interface SwarmMember {
  readonly address: string;
  readonly docker: { readonly client: Dockerode };
}

/** Has ports of tasks published on this address alone: Swarm makes this network otherwise, if it is not there. */
export async function bindToAddress({ address, docker: { client } }: SwarmMember): Promise<void> {
  const option = 'com.docker.network.bridge';
  await client.createNetwork({
    Name: 'docker_gwbridge',
    Driver: 'bridge',
    Options: {
      [`${option}.name`]: 'docker_gwbridge',
      [`${option}.enable_icc`]: 'false',
      [`${option}.enable_ip_masquerade`]: 'true',
      [`${option}.host_binding_ipv4`]: address,
    },
  });
}

/** Makes a swarm of hosts; the first one manages, and the others do or do not. They leave it with the stack. */
export async function formSwarm(
  stack: AsyncDisposableStack,
  hosts: readonly SwarmMember[],
  role: 'Manager' | 'Worker' = 'Manager',
): Promise<void> {
  const [first, ...others] = hosts;
  if (!first) throw new Error('a swarm has a manager');
  const managed = `${first.address}:2377`;
  await first.docker.client.swarmInit({ ListenAddr: managed, AdvertiseAddr: first.address });
  leaveWith(stack, first);
  const { JoinTokens } = (await first.docker.client.swarmInspect()) as { JoinTokens: Record<typeof role, string> };
  for (const host of others) {
    const join = { RemoteAddrs: [managed], JoinToken: JoinTokens[role] };
    const { address } = host;
    await host.docker.client.swarmJoin({ ...join, ListenAddr: `${address}:2377`, AdvertiseAddr: address });
    leaveWith(stack, host);
  }
}

function leaveWith(stack: AsyncDisposableStack, { docker }: SwarmMember): void {
  stack.defer(async () => void (await docker.client.swarmLeave({ force: true }).catch(() => undefined)));
}

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
