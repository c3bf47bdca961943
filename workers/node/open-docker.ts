import { join } from 'node:path';
import type { z } from 'zod';
import { createDocker, type Docker } from '../../adapters/docker/docker.ts';
import { openOwnImages } from '../../adapters/docker/own-images.ts';
import { openPullRecords } from '../../adapters/docker/pull-records.ts';
import type { OwnManaging } from '../../adapters/docker/swarm/managing.ts';
import { createSwarm } from '../../adapters/docker/swarm/swarm.ts';
import type { Log } from '../../adapters/logging/log.ts';
import { createSwarmManagers, type SwarmManagersPorts } from '../../adapters/node-client/swarm-managers.ts';
import { createOwnImagesFile } from '../../adapters/node-files/own-images-file.ts';
import { createPullRecordsFile } from '../../adapters/node-files/pull-records-file.ts';
import type { nodeVariables } from '../../config/node.ts';

/** Deadline of an ordinary call to Docker. */
const DOCKER_TIMEOUT_MS = 10_000;

/** This host's Docker daemon, as a process of its node uses it. */
export interface OpenedDocker {
  /** Changes nothing without this node's lease. */
  readonly docker: Docker;
  /** Restarts what is there already, with less. */
  readonly kept: Docker;
  /** What it does about its Docker Swarm; `undefined` on plain Docker. */
  readonly own: OwnManaging | undefined;
  /** Whether the host is described in another way now than when it was last. */
  isOutdated(): boolean;
}

/** What opening it needs. */
export interface OpenDockerPorts extends Pick<SwarmManagersPorts, 'fetchManagers' | 'epoch'> {
  readonly log: Log;
  requireLease(): void;
  requireKeeping(): void;
}

/**
 * Opens this host's Docker daemon, with the records of what was pulled to it for whom, and of which images are our own.
 * The daemon may be away.
 */
export async function openDocker(
  config: z.infer<typeof nodeVariables>,
  { log, requireLease, requireKeeping, fetchManagers, epoch }: OpenDockerPorts,
): Promise<OpenedDocker> {
  const file = createPullRecordsFile(join(config.NODE_KEY_DIR, 'pulled-images.json'), (err) =>
    log.warn({ err }, 'the records of pulled images cannot be read: registries are asked again'),
  );
  const records = await openPullRecords(file, (err) => log.warn({ err }, 'cannot save the records of pulled images'));
  const brought = createOwnImagesFile(join(config.NODE_KEY_DIR, 'own-images.json'), (err) =>
    log.warn({ err }, 'the record of own images cannot be read: what was pulled before stays'),
  );
  const ownImages = await openOwnImages(brought, (err) => log.warn({ err }, 'cannot save the record of own images'));
  const options = {
    socketPath: config.DOCKER_SOCKET,
    instance: config.OBIENTE_INSTANCE,
    nodeAddress: config.NODE_ADDRESS,
    requestTimeoutMs: DOCKER_TIMEOUT_MS,
    records,
    ownImages,
  };
  const tell = (weakness: string): void => log.warn(`this host is weaker than it could be: ${weakness}`);
  if (config.RUNTIME === 'docker') {
    const open = (beforeChange: () => void) => createDocker({ ...options, beforeChange });
    return { docker: open(requireLease), kept: open(requireKeeping), own: undefined, isOutdated: () => false };
  }
  const open = (beforeChange: () => void) => {
    const askManagers = createSwarmManagers({ fetchManagers, epoch, beforeChange });
    return createSwarm({ ...options, beforeChange, tell, askManagers });
  };
  const docker = open(requireLease);
  return { docker, kept: open(requireKeeping), own: docker.own, isOutdated: docker.isOutdated };
}
