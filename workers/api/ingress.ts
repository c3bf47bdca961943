import { join } from 'node:path';
import type { Log } from '../../adapters/logging/log.ts';
import type { ChangeFeed } from '../../adapters/postgres/changes.ts';
import type { Database } from '../../adapters/postgres/database.ts';
import { readIngressSnapshot } from '../../adapters/postgres/routes.ts';
import { createDefaultCertificate } from '../../adapters/traefik/default-certificate.ts';
import { createTraefikConfigRoute } from '../../api/http/traefik-config.ts';
import type { ApiConfig } from '../../config/api.ts';

/** Feeds the ingresses from the control database; what they were given last is kept in the state folder. */
export function createIngressRoute(
  config: ApiConfig,
  world: { readonly db: Database; readonly changes: ChangeFeed; readonly log: Log; readonly bearer: string },
) {
  const directory = join(config.OBIENTE_STATE_DIR, 'traefik');
  return createTraefikConfigRoute({
    readSnapshot: () => readIngressSnapshot(world.db),
    subscribe: (listener) => world.changes.subscribe({ ingress: true }, listener),
    defaultCertificate: createDefaultCertificate({ directory, domain: config.DOMAIN }),
    lastGoodFile: join(directory, 'last-good.json'),
    bearer: world.bearer,
    log: world.log,
  });
}
