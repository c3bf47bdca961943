import { readSecretFile } from '../sealing/secret-file.ts';
import { type Jwk, parsePrivateJwk } from './keys.ts';

/**
 * Reads a private P-256 key, a JWK as JSON, from its file.
 *
 * @param variable the environment variable that names the file, for the error.
 * @throws CONFIGURATION when the file is missing, open to others, or holds no such key.
 */
export async function readPrivateJwk(path: string, variable: string): Promise<Jwk> {
  return parsePrivateJwk(await readSecretFile(path, variable), variable);
}
