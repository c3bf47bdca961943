import { z } from 'zod';
import { temporalVariables } from './orchestrator.ts';
import { bindAddress, durationMs, hostAddress, list, logLevel, port, url } from './variables.ts';

/** The official image of nginx that needs no root, and where it serves from. */
const DEFAULT_SITE = { image: 'nginxinc/nginx-unprivileged:stable-alpine', folder: '/usr/share/nginx/html' };

/** Variables of the role `node`. */
export const nodeVariables = temporalVariables.extend({
  LOG_LEVEL: logLevel,
  SHUTDOWN_GRACE: durationMs('30s'),
  OBIENTE_INSTANCE: z.string().regex(/^[a-z0-9]{8}$/, 'must have 8 characters of a-z and 0-9'),
  CONTROL_URL: url('http', 'https').default('http://127.0.0.1:7400'),
  NODE_JOIN_TOKEN_FILE: z.string(),
  NODE_KEY_DIR: z.string(),
  NODE_ADDRESS: hostAddress(),
  BIND_ADDRESS: bindAddress(),
  NODE_GATEWAY_PORT: port(7410),
  STREAMER_GATEWAY_PORT: port(7411),
  DOCKER_SOCKET: z.string().default('/var/run/docker.sock'),
  /** Image that serves pages: its own command serves the folder on port 8080. */
  STATIC_SITE_IMAGE: z.string().regex(/^\S+$/, 'must be an image reference').default(DEFAULT_SITE.image),
  /** Where that image serves from. */
  STATIC_SITE_FOLDER: z
    .string()
    .regex(/^(?:\/[\w.-]+)+$/, 'must be an absolute path')
    .default(DEFAULT_SITE.folder),
  /** Git servers on the platform's own network that this node may fetch from, as `host` or `host:port`. */
  NODE_ALLOWED_GIT_HOSTS: list(),
  /** PEM certificates that Git servers are checked against in place of the machine's. */
  NODE_GIT_CA_FILE: z.string().optional(),
});
