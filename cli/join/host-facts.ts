import { once } from 'node:events';
import { connect } from 'node:net';
import { inspectDockerHost } from '../../adapters/docker/inspect-host.ts';
import type { HostFacts } from '../../domain/host-checks.ts';

const ANSWER_TIMEOUT_MS = 10_000;

/** The header's time has no fractions: on average it is half a second behind. */
const HALF_A_SECOND_MS = 500;

/** Looks at this host, and at the control plane from here. */
export async function lookAtHost(server: string, dockerSocket: string): Promise<HostFacts> {
  const [docker, clockAheadMs] = await Promise.all([inspectDockerHost(dockerSocket), measureClock(server)]);
  return { ...docker, server, clockAheadMs };
}

/** How far this host's clock is ahead of the server's, as far as its answer tells; `null` when there is none. */
async function measureClock(server: string): Promise<number | null> {
  try {
    const sentAt = Date.now();
    const response = await fetch(new URL('/health', server), { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
    const answeredAt = Date.now();
    await response.body?.cancel();
    const date = Date.parse(response.headers.get('date') ?? '');
    if (Number.isNaN(date)) return null;
    const ahead = (sentAt + answeredAt) / 2 - (date + HALF_A_SECOND_MS);
    // What is within the second that the header leaves open is no difference.
    return Math.abs(ahead) <= HALF_A_SECOND_MS ? 0 : ahead;
  } catch {
    // Refused, silent or something else than a server: for whoever joins it is the same.
    return null;
  }
}

/** The address of this host on the way to the server. */
export async function findOwnAddress(server: string): Promise<string> {
  const { hostname, port, protocol } = new URL(server);
  const host = hostname.replace(/^\[|\]$/g, '');
  const socket = connect({ host, port: Number(port) || (protocol === 'https:' ? 443 : 80) });
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
    return (socket.localAddress ?? '127.0.0.1').replace(/^::ffff:/, '');
  } finally {
    socket.destroy();
  }
}
