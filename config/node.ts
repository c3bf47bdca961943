import { z } from 'zod';
import { temporalVariables } from './orchestrator.ts';
import { bindAddress, durationMs, hostAddress, logLevel, port, url } from './variables.ts';

/** Variables of the role `node`. */
export const nodeVariables = temporalVariables.extend({
  LOG_LEVEL: logLevel,
  SHUTDOWN_GRACE: durationMs('30s'),
  OBIENTE_INSTANCE: z.string().regex(/^[a-z0-9]{8}$/, 'must have 8 characters of a-z and 0-9'),
  CONTROL_URL: url('http', 'https').default('http://127.0.0.1:7400'),
  NODE_JOIN_TOKEN_FILE: z.string(),
  NODE_KEY_DIR: z.string(),
  NODE_SNAPSHOT_DIR: z.string().optional(),
  NODE_ADDRESS: hostAddress(),
  BIND_ADDRESS: bindAddress(),
  NODE_GATEWAY_PORT: port(7410),
  STREAMER_GATEWAY_PORT: port(7411),
  DOCKER_SOCKET: z.string().default('/var/run/docker.sock'),
});
