import type Dockerode from 'dockerode';

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

/** Makes a swarm of hosts, of which the first ones manage it. They leave it with the stack, managers last. */
export async function formSwarm(
  stack: AsyncDisposableStack,
  hosts: readonly SwarmMember[],
  managers: number = hosts.length,
): Promise<void> {
  const [first, ...others] = hosts;
  if (!first) throw new Error('a swarm has a manager');
  const managed = `${first.address}:2377`;
  await first.docker.client.swarmInit({ ListenAddr: managed, AdvertiseAddr: first.address });
  leaveWith(stack, first);
  const { JoinTokens } = (await first.docker.client.swarmInspect()) as {
    JoinTokens: Record<'Manager' | 'Worker', string>;
  };
  for (const [index, host] of others.entries()) {
    const role = index + 1 < managers ? 'Manager' : 'Worker';
    const join = { RemoteAddrs: [managed], JoinToken: JoinTokens[role] };
    const { address } = host;
    await host.docker.client.swarmJoin({ ...join, ListenAddr: `${address}:2377`, AdvertiseAddr: address });
    leaveWith(stack, host);
  }
}

function leaveWith(stack: AsyncDisposableStack, { docker }: SwarmMember): void {
  stack.defer(async () => void (await docker.client.swarmLeave({ force: true }).catch(() => undefined)));
}
