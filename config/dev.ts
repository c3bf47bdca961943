import { z } from 'zod';
import { bindAddress, domain, hostAddress, logLevel, port, url } from './variables.ts';

/** Variables of the supervisor that `npm start` runs. Each port is on BIND_ADDRESS or on 127.0.0.1. */
export const devVariables = z.object({
  OBIENTE_STATE_DIR: z.string().default('.obiente'),
  LOG_LEVEL: logLevel,
  DOMAIN: domain(),
  BIND_ADDRESS: bindAddress(),
  NODE_ADDRESS: hostAddress(),
  DATABASE_URL: url('postgres', 'postgresql').optional(),
  METRICS_DATABASE_URL: url('postgres', 'postgresql').optional(),
  API_PORT: port(7400),
  TRAEFIK_INTERNAL_PORT: port(7401),
  OIDC_PORT: port(7402),
  NODE_GATEWAY_PORT: port(7410),
  STREAMER_GATEWAY_PORT: port(7411),
  POSTGRES_PORT: port(7432),
  TEMPORAL_PORT: port(7233),
  TEMPORAL_UI_PORT: port(8233),
  HTTP_PORT: port(8080),
  HTTPS_PORT: port(8443),
});

/** What the supervisor is told. */
export type DevConfig = z.infer<typeof devVariables>;
