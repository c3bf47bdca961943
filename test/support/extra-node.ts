import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createLog } from '../../adapters/logging/log.ts';
import { openNodeIdentity } from '../../adapters/node-identity/node-identity.ts';
import { generateNodeKeys } from '../../adapters/tokens/keys.ts';
import { startNode } from '../../workers/node.ts';
import { type ExtraDocker, startExtraDocker } from './extra-docker.ts';
import { freePort } from './free-port.ts';
import type { PlatformFacts } from './platform.ts';

/** A node of a test's platform beside its own one, with a daemon of its own. */
export interface ExtraNode {
  readonly nodeId: string;
  readonly docker: ExtraDocker['client'];
  /** Ends the node; its daemon goes on with what it runs. */
  stop(): Promise<void>;
  /** Brings it back. */
  start(): Promise<void>;
  remove(): Promise<void>;
}

/** Comes before every other: where nodes are equally loaded, it is chosen. */
const FIRST_NODE_ID = 'node-000000000000';

/** Starts the node in this process. Its containers have no ports that can be reached, see `extra-docker.ts`. */
export async function startExtraNode({
  stateDir,
  instance,
  apiUrl,
  temporalAddress,
}: PlatformFacts): Promise<ExtraNode> {
  const [docker, gatewayPort] = await Promise.all([startExtraDocker(), freePort()]);
  const nodeId = FIRST_NODE_ID;
  const environment = {
    ...{ OBIENTE_INSTANCE: instance, CONTROL_URL: apiUrl, TEMPORAL_ADDRESS: temporalAddress },
    PAYLOAD_KEY_FILE: join(stateDir, 'keys/payload.key'),
    NODE_JOIN_TOKEN_FILE: join(stateDir, 'keys/join.token'),
    NODE_KEY_DIR: await makeNodeIdentity(stateDir, nodeId),
    NODE_GATEWAY_PORT: String(gatewayPort),
    DOCKER_SOCKET: docker.socketPath,
  };
  let node: Awaited<ReturnType<typeof startNode>> | undefined;
  const start = async (): Promise<void> => {
    node = await startNode(environment, createLog({ role: 'node', level: 'silent' }));
  };
  const stop = async (): Promise<void> => {
    await node?.stop();
    node = undefined;
  };
  await start().catch(async (error: unknown) => {
    await docker.remove();
    throw error;
  });
  const remove = async (): Promise<void> => {
    await stop();
    await docker.remove();
  };
  return { nodeId, docker: docker.client, stop, start, remove };
}

/** Makes keys for a node whose id is known beforehand. @returns the folder that it is to be told. */
export async function makeNodeIdentity(stateDir: string, nodeId: string): Promise<string> {
  const keyDir = join(stateDir, nodeId);
  await mkdir(keyDir, { mode: 0o700 });
  await openNodeIdentity(keyDir, () => {
    const { signing, encryption } = generateNodeKeys();
    return { signingJwk: JSON.stringify(signing.privateJwk), encryptionJwk: JSON.stringify(encryption.privateJwk) };
  });
  await writeFile(join(keyDir, 'node-id'), nodeId, { mode: 0o600 });
  return keyDir;
}
