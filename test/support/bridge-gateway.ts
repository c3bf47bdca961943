import type Dockerode from 'dockerode';

/** The host's address on Docker's default network, where containers reach what listens on all addresses. */
export async function bridgeGateway(client: Dockerode): Promise<string> {
  const bridge = (await client.getNetwork('bridge').inspect()) as {
    IPAM: { Config: { Gateway?: string; Subnet: string }[] };
  };
  const { Gateway, Subnet = '' } = bridge.IPAM.Config[0] ?? {};
  return Gateway ?? Subnet.replace(/\.0\/\d+$/, '.1');
}
