import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { writeStaticConfig } from '../adapters/traefik/static-config.ts';
import { ensureKeys, readSecret } from './dev/keys.ts';

/**
 * Makes the secrets of an installation, once: `docker compose up` runs this before the roles.
 *
 * The control plane's folder gets all of them; a node's gets what a node may know, as it is there by now; the ingress
 * gets its configuration with its token in it.
 */
const { values } = parseArgs({
  options: {
    control: { type: 'string', default: '/etc/obiente' },
    node: { type: 'string', default: '/etc/obiente/node' },
    traefik: { type: 'string', default: '/etc/obiente/traefik' },
  },
});

const keys = ensureKeys(values.control);
mkdirSync(values.node, { recursive: true });
for (const [name, file] of [
  ['payload.key', keys.payload],
  ['join.token', keys.joinToken],
] as const) {
  const copy = join(values.node, name);
  // A rotation changes the original; the nodes of this host get it with the next start.
  if (!existsSync(copy) || readSecret(copy) !== readSecret(file)) copyFileSync(file, copy);
}
await writeStaticConfig(join(values.traefik, 'traefik.yml'), {
  bindAddress: '',
  httpPort: Number(process.env.HTTP_PORT || 80),
  httpsPort: Number(process.env.HTTPS_PORT || 443),
  internalAddress: '127.0.0.1',
  internalPort: Number(process.env.TRAEFIK_INTERNAL_PORT || 7401),
  configUrl: `http://127.0.0.1:${process.env.API_PORT || 7400}/traefik/config`,
  token: readSecret(keys.traefikToken),
});
