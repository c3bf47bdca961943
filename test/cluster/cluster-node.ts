import { join } from 'node:path';
import type { Installation } from '../../workers/dev/installation.ts';
import { roleEnvironment } from '../../workers/dev/role-environment.ts';
import { type DockerHome, type ExtraDocker, startExtraDocker } from '../support/extra-docker.ts';
import { makeNodeIdentity } from '../support/extra-node.ts';
import { dockerdOfVersion } from './docker-tree.ts';
import { type HostProcess, startOnHost } from './host-process.ts';
import type { ClusterNetwork, HostNetwork } from './network.ts';

/** One host of the cluster: its cable, its daemon, and the node's process on it. */
export interface ClusterNode {
  readonly nodeId: string;
  readonly cable: Pick<HostNetwork, 'unplug' | 'plug'>;
  readonly docker: ExtraDocker;
  readonly process: Pick<HostProcess, 'halt' | 'goOn'>;
}

/** Where hosts reach the control plane. */
export interface ControlAddresses {
  readonly apiPort: number;
  readonly temporalPort: number;
}

const ROOT = join(import.meta.dirname, '../..');

/** A host with its daemon, on which no node runs yet. */
export type ClusterHost = Omit<ClusterNode, 'cable' | 'process'> & { readonly host: HostNetwork };

/** Starts a host and its daemon. */
export async function startClusterHost(
  stack: AsyncDisposableStack,
  of: {
    readonly index: number;
    readonly network: ClusterNetwork;
    readonly settings: NonNullable<DockerHome['settings']>;
    /** Of its Docker Engine; undefined: the machine's own. */
    readonly dockerVersion: string | undefined;
    /** Of a disk of its own for its daemon; without, it is on the machine's. */
    readonly diskBytes?: number | undefined;
  },
): Promise<ClusterHost> {
  const { settings, dockerVersion, diskBytes } = of;
  const nodeId = `node-${String(of.index).repeat(12)}`;
  const host = await of.network.addHost(nodeId);
  const program = dockerVersion === undefined ? {} : { program: await dockerdOfVersion(host, dockerVersion) };
  const disk = diskBytes === undefined ? {} : { diskBytes };
  return { nodeId, host, docker: await startDockerOn(stack, host, { settings, ...program, ...disk }) };
}

/** Starts the node's process on a host; resolves when it has been started. */
export async function startClusterNode(
  stack: AsyncDisposableStack,
  { nodeId, host, docker }: ClusterHost,
  of: ControlAddresses & {
    readonly network: ClusterNetwork;
    readonly installation: Installation;
    readonly runtime: 'docker' | 'swarm';
  },
): Promise<ClusterNode> {
  const { network, installation } = of;
  const { stateDir } = installation;
  const environment = {
    ...roleEnvironment('node', installation),
    CONTROL_URL: `http://${network.address}:${of.apiPort}`,
    TEMPORAL_ADDRESS: `${network.address}:${of.temporalPort}`,
    ...{ NODE_ADDRESS: host.address, BIND_ADDRESS: host.address },
    NODE_KEY_DIR: await makeNodeIdentity(stateDir, nodeId),
    DOCKER_SOCKET: docker.socketPath,
    RUNTIME: of.runtime,
  };
  const process = startOnHost(stack, host, {
    command: [installation.toolchain.node, join(ROOT, 'cli/main.ts'), 'node'],
    ...{ cwd: ROOT, environment, logFile: join(stateDir, 'logs', `${nodeId}.log`) },
  });
  return { nodeId, cable: host, docker, process };
}

/** Starts a daemon on a host, reached as on a machine of its own. One that is still starting is removed as well. */
export async function startDockerOn(
  stack: AsyncDisposableStack,
  { enter }: HostNetwork,
  home: Pick<DockerHome, 'settings' | 'program' | 'diskBytes'> = {},
): Promise<ExtraDocker> {
  const networking = ['--iptables=true', '--ip-forward=true'];
  let starting: Promise<ExtraDocker> | undefined;
  stack.defer(async () => await (await starting?.catch(() => undefined))?.remove());
  starting = startExtraDocker({ enter, networking, ...home });
  return await starting;
}
