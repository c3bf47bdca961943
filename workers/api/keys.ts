import { readKeyring } from '../../adapters/sealing/keyring.ts';
import { readSecretFile } from '../../adapters/sealing/secret-file.ts';
import { readPrivateJwk } from '../../adapters/tokens/key-files.ts';
import type { ApiConfig } from '../../config/api.ts';

/** Reads every secret that the role `api` needs, before it opens anything. @throws CONFIGURATION */
export async function readKeys(config: ApiConfig) {
  return {
    payload: await readKeyring(config.PAYLOAD_KEY_FILE, 'PAYLOAD_KEY_FILE'),
    master: await readKeyring(config.MASTER_KEY_FILE, 'MASTER_KEY_FILE'),
    control: await readPrivateJwk(config.CONTROL_KEY_FILE, 'CONTROL_KEY_FILE'),
    joinToken: await readSecretFile(config.NODE_JOIN_TOKEN_FILE, 'NODE_JOIN_TOKEN_FILE'),
    traefikToken: await readSecretFile(config.TRAEFIK_TOKEN_FILE, 'TRAEFIK_TOKEN_FILE'),
  };
}
