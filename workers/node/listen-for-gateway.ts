import type { z } from 'zod';
import type { Docker } from '../../adapters/docker/docker.ts';
import type { OwnManaging } from '../../adapters/docker/swarm/managing.ts';
import type { Log } from '../../adapters/logging/log.ts';
import { createControlTokenVerifier } from '../../adapters/tokens/control-token.ts';
import { createImageTokenVerifier } from '../../adapters/tokens/image-token.ts';
import { createSwarmTokenVerifier } from '../../adapters/tokens/swarm-token.ts';
import { createVolumeTokenVerifier } from '../../adapters/tokens/volume-token.ts';
import type { nodeVariables } from '../../config/node.ts';
import type { ControlJwks } from './control-jwks.ts';
import { startNodeGateway } from './gateway.ts';
import type { NodeKeys } from './keys.ts';

type Config = z.infer<typeof nodeVariables>;

/** Listens for the control plane and for other nodes, with what verifies the tokens of each. */
export function listenForGateway(of: {
  config: Config;
  docker: Docker;
  /** What this host does about its Docker Swarm; `undefined` where it is in none. */
  own: OwnManaging | undefined;
  keys: NodeKeys;
  controlJwks: ControlJwks;
  log: Log;
}) {
  const { config, docker, own, keys, controlJwks, log } = of;
  const { nodeId } = keys;
  const verifier = createControlTokenVerifier({ getJwks: controlJwks.current, audience: `node:${nodeId}` });
  const volumeVerifier = createVolumeTokenVerifier({ getJwks: controlJwks.current, nodeId });
  const imageVerifier = createImageTokenVerifier({ getJwks: controlJwks.current, nodeId });
  const swarmVerifier = createSwarmTokenVerifier({ getJwks: controlJwks.current, nodeId });
  const swarm = own && {
    ...{ own, instance: config.OBIENTE_INSTANCE, openService: keys.openService },
    verifyToken: (token: string) => swarmVerifier.verify(token),
  };
  return startNodeGateway({
    bindAddress: config.BIND_ADDRESS,
    port: config.NODE_GATEWAY_PORT,
    instance: config.OBIENTE_INSTANCE,
    docker,
    verifyToken: (token) => verifier.verify(token),
    verifyImageToken: (token) => imageVerifier.verify(token),
    verifyVolumeToken: (token) => volumeVerifier.verify(token),
    ...(swarm ? { swarm } : {}),
    log,
  });
}
