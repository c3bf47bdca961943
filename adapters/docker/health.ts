import { availableParallelism, totalmem } from 'node:os';
import type { HostFacts } from '../../domain/container.ts';
import { isDomainError } from '../../domain/errors.ts';
import type { DockerConnection } from './connection.ts';

/** What a look at a daemon found; `unanswered` tells a hang from a refusal. */
export type DaemonHealth =
  | { readonly kind: 'healthy' }
  | { readonly kind: 'unreachable' | 'unanswered'; readonly reason: string };

/** How one daemon is. */
export interface DockerHealth {
  /**
   * Looks whether the daemon works, not only whether it listens: with a hung containerd ping, list and inspect still
   * answer, so this asks for what goes through containerd.
   */
  checkHealth(): Promise<DaemonHealth>;
  /** Tells what the host has. @throws DOCKER_UNAVAILABLE */
  describeHost(): Promise<HostFacts>;
}

/** A hung containerd shall be noticed within 15 s, at the second silent look in a row. */
export const HEALTH_TIMEOUT_MS = 5_000;

/** Creates the part of the adapter that looks at the daemon itself. */
export function createDockerHealth(docker: DockerConnection): DockerHealth {
  return {
    checkHealth: async () => {
      try {
        const options = { timeoutMs: HEALTH_TIMEOUT_MS };
        await docker.call('ask docker for its state', () => docker.impatient.info(), options);
        return { kind: 'healthy' };
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        const answered = isDomainError(error) && error.cause !== undefined;
        return { kind: answered ? 'unreachable' : 'unanswered', reason };
      }
    },
    describeHost: async () => {
      const info = await docker.call('ask docker for its host', () => docker.impatient.info());
      return {
        hostname: String(info.Name ?? ''),
        cpuCores: Number(info.NCPU ?? availableParallelism()),
        memoryBytes: Number(info.MemTotal ?? totalmem()),
        dockerVersion: String(info.ServerVersion ?? ''),
        architecture: String(info.Architecture ?? ''),
      };
    },
  };
}
