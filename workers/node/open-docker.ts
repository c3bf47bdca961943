import { join } from 'node:path';
import type { z } from 'zod';
import { createDocker, type Docker } from '../../adapters/docker/docker.ts';
import { openOwnImages } from '../../adapters/docker/own-images.ts';
import { openPullRecords } from '../../adapters/docker/pull-records.ts';
import { createSwarm } from '../../adapters/docker/swarm/swarm.ts';
import type { Log } from '../../adapters/logging/log.ts';
import { createOwnImagesFile } from '../../adapters/node-files/own-images-file.ts';
import { createPullRecordsFile } from '../../adapters/node-files/pull-records-file.ts';
import type { nodeVariables } from '../../config/node.ts';

/** Deadline of an ordinary call to Docker. */
const DOCKER_TIMEOUT_MS = 10_000;

/**
 * Opens this host's Docker daemon, with the records of what was pulled to it for whom, and of which images are our own.
 * The daemon may be away.
 *
 * @returns it twice: to change nothing there without this node's lease, and to restart what is there already.
 */
export async function openDocker(
  config: z.infer<typeof nodeVariables>,
  { log, requireLease, requireKeeping }: { log: Log; requireLease: () => void; requireKeeping: () => void },
): Promise<{ readonly docker: Docker; readonly kept: Docker }> {
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
  const open = (beforeChange: () => void): Docker => {
    if (config.RUNTIME === 'docker') return createDocker({ ...options, beforeChange });
    return createSwarm({ ...options, beforeChange, tell });
  };
  return { docker: open(requireLease), kept: open(requireKeeping) };
}
