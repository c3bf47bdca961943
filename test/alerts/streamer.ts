import { join } from 'node:path';
import type { Installation } from '../../workers/dev/installation.ts';
import { roleEnvironment } from '../../workers/dev/role-environment.ts';
import { type HostProcess, startOnHost } from '../cluster/host-process.ts';
import type { HostNetwork } from '../cluster/network.ts';
import { openTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

/** The streamer of a host, which faults are done to. */
export interface BedStreamer {
  /** Starts it, or starts it anew, with further variables of its role. */
  start(how?: StreamerStart): Promise<void>;
  halt(): void;
  goOn(): void;
  /** Takes away its way to both databases that take rows: connections end, and new ones are refused. */
  cutDatabases(): Promise<void>;
  joinDatabases(): Promise<void>;
}

/** How a streamer is started. */
export interface StreamerStart {
  readonly settings?: Readonly<Record<string, string>>;
  /** Whether it sees the kernel's files of containers; without them it asks Docker. */
  readonly seesCgroups?: boolean;
}

const ROOT = join(import.meta.dirname, '../..');

/** In mounts of its own, of which the kernel's files are none. */
const WITHOUT_CGROUPS = ['unshare', '--mount', '--', 'sh', '-c', 'umount -R -l /sys/fs/cgroup && exec "$@"', 'sh'];

/** Creates the streamer of a host; it is not started yet. */
export async function createBedStreamer(
  stack: AsyncDisposableStack,
  of: {
    readonly installation: Installation;
    readonly host: HostNetwork;
    readonly nodeId: string;
    readonly dockerSocket: string;
    /** Of this machine, as the host sees it. */
    readonly address: string;
  },
): Promise<BedStreamer> {
  const { installation, host, address } = of;
  const { stateDir, config } = installation;
  const open = (port = 0): Promise<TcpProxy> => openTcpProxy(config.POSTGRES_PORT, { host: address, port });
  let databases: TcpProxy | undefined = await open();
  const databasePort = databases.port;
  const ingress = await openTcpProxy(config.TRAEFIK_INTERNAL_PORT, { host: address });
  stack.defer(async () => {
    await databases?.stop();
    await ingress.stop();
  });
  const role = roleEnvironment('streamer', installation);
  const through = (url = ''): string => Object.assign(new URL(url), { host: `${address}:${databasePort}` }).href;
  const environment = {
    ...role,
    ...{ BIND_ADDRESS: host.address, DOCKER_SOCKET: of.dockerSocket, NODE_KEY_DIR: join(stateDir, of.nodeId) },
    METRICS_DATABASE_URL: through(role.METRICS_DATABASE_URL),
    METRICS_FALLBACK_DATABASE_URL: through(role.METRICS_FALLBACK_DATABASE_URL),
    METRICS_INGRESS_URL: `http://${address}:${ingress.port}`,
  };
  let process: HostProcess | undefined;
  return {
    start: async ({ settings = {}, seesCgroups = true } = {}) => {
      await process?.end();
      const enter = seesCgroups ? host.enter : [...host.enter, ...WITHOUT_CGROUPS];
      process = startOnHost(
        stack,
        { enter },
        {
          command: [installation.toolchain.node, join(ROOT, 'cli/main.ts'), 'streamer'],
          environment: { ...environment, ...settings },
          ...{ cwd: ROOT, logFile: join(stateDir, 'logs', 'streamer.log') },
        },
      );
    },
    halt: () => process?.halt(),
    goOn: () => process?.goOn(),
    cutDatabases: async () => {
      await databases?.stop();
      databases = undefined;
    },
    joinDatabases: async () => {
      databases ??= await open(databasePort);
    },
  };
}
