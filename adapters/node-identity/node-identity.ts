import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DomainError } from '../../domain/errors.ts';

/** Who this node is: an id that stays, whatever the host is called, and its two private keys as JWK texts. */
export interface NodeIdentity {
  readonly nodeId: string;
  readonly signingJwk: string;
  readonly encryptionJwk: string;
}

/** Files of the folder; the streamer of the same host reads the first and the last. */
const FILES = {
  nodeId: 'node-id',
  signing: 'signing.jwk.json',
  encryption: 'encryption.jwk.json',
  controlJwks: 'control-jwks.json',
} as const;

/**
 * Reads who this node is, and decides it at the first start. The folder and all in it are for this user only.
 *
 * Killed at any moment, the next start goes on with what was written: every file appears whole or not at all, and the
 * id last, so that an id without its keys never exists.
 *
 * @throws CONFIGURATION when a file holds something else.
 */
export async function openNodeIdentity(
  dir: string,
  makeKeys: () => { signingJwk: string; encryptionJwk: string },
): Promise<NodeIdentity> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const known = await readIdentity(dir);
  if (known) return known;
  const made = { nodeId: `node-${randomBytes(6).toString('hex')}`, ...makeKeys() };
  await writeWhole(join(dir, FILES.signing), made.signingJwk);
  await writeWhole(join(dir, FILES.encryption), made.encryptionJwk);
  await writeWhole(join(dir, FILES.nodeId), made.nodeId);
  return made;
}

/** Keeps the control plane's public keys for the streamer of the same host, and for the next start. */
export async function writeControlJwks(dir: string, jwks: string): Promise<void> {
  await writeWhole(join(dir, FILES.controlJwks), jwks);
}

/** The control plane's public keys as last kept; `undefined` before the first enrolment. */
export async function readControlJwks(dir: string): Promise<string | undefined> {
  return await readIfThere(join(dir, FILES.controlJwks));
}

async function readIdentity(dir: string): Promise<NodeIdentity | undefined> {
  const nodeId = (await readIfThere(join(dir, FILES.nodeId)))?.trim();
  if (nodeId === undefined) return undefined;
  const signingJwk = await readIfThere(join(dir, FILES.signing));
  const encryptionJwk = await readIfThere(join(dir, FILES.encryption));
  if (/^[a-z0-9-]{8,64}$/.test(nodeId) && signingJwk && encryptionJwk) return { nodeId, signingJwk, encryptionJwk };
  throw new DomainError('CONFIGURATION', `NODE_KEY_DIR: ${dir} does not hold a whole node identity`, {
    hint: 'Restore the folder, or empty it: the node then joins as a new one.',
  });
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function writeWhole(path: string, text: string): Promise<void> {
  const draft = `${path}.${process.pid}.new`;
  await writeFile(draft, text, { mode: 0o600, flush: true });
  await rename(draft, path);
}
