import { type ControlClient, createControlClient } from '../../adapters/control-client/control-client.ts';
import { openNodeIdentity } from '../../adapters/node-identity/node-identity.ts';
import { decryptEnvironment } from '../../adapters/tokens/environment-envelope.ts';
import { generateNodeKeys, parsePrivateJwk, toPublicJwk } from '../../adapters/tokens/keys.ts';
import { createNodeTokenSigner } from '../../adapters/tokens/node-token.ts';
import { decryptRegistryCredential } from '../../adapters/tokens/registry-credential-envelope.ts';
import type { RegistryCredential } from '../../domain/registry-credential.ts';

/** A new token a minute is enough for calls every few seconds, and none of them is ever near its end of 5 min. */
const TOKEN_KEPT_MS = 60_000;

/** Who this node is, and what it can do because of it. */
export interface NodeKeys {
  readonly nodeId: string;
  /** What others may know: the id, and the public keys as JWK texts. */
  readonly publicHalf: { readonly nodeId: string; readonly signingJwk: string; readonly encryptionJwk: string };
  readonly control: ControlClient;
  /** Fetches and opens a revision's variables. */
  openEnvironment(of: { deploymentId: string; revision: number }): Promise<Readonly<Record<string, string>>>;
  /** Fetches and opens the credential for a revision's image; `null` when there is none. */
  openRegistryCredential(of: { deploymentId: string; revision: number }): Promise<RegistryCredential | null>;
}

/** Reads or makes this node's identity, and creates the client that speaks with it. @throws CONFIGURATION */
export async function connectIdentity(from: { dir: string; controlUrl: string }): Promise<NodeKeys> {
  const identity = await openNodeIdentity(from.dir, makeKeys);
  const signing = parsePrivateJwk(identity.signingJwk, 'NODE_KEY_DIR');
  const encryption = parsePrivateJwk(identity.encryptionJwk, 'NODE_KEY_DIR');
  const { sign } = createNodeTokenSigner(signing, identity.nodeId);
  const control = createControlClient({ url: from.controlUrl, sign: keptFor(TOKEN_KEPT_MS, sign) });
  return {
    nodeId: identity.nodeId,
    publicHalf: {
      nodeId: identity.nodeId,
      signingJwk: JSON.stringify(toPublicJwk(signing)),
      encryptionJwk: JSON.stringify(toPublicJwk(encryption)),
    },
    control,
    openEnvironment: async (of) => {
      const variables = await decryptEnvironment(encryption, await control.fetchEnvironment(of));
      return Object.fromEntries(variables.map(({ name, value }) => [name, value]));
    },
    openRegistryCredential: async (of) => {
      const jwe = await control.fetchRegistryCredential(of);
      return jwe === '' ? null : await decryptRegistryCredential(encryption, jwe);
    },
  };
}

function makeKeys(): { signingJwk: string; encryptionJwk: string } {
  const { signing, encryption } = generateNodeKeys();
  return { signingJwk: JSON.stringify(signing.privateJwk), encryptionJwk: JSON.stringify(encryption.privateJwk) };
}

function keptFor(ms: number, make: () => Promise<string>): () => Promise<string> {
  let kept: { readonly token: Promise<string>; readonly until: number } | undefined;
  return () => {
    if (!kept || performance.now() > kept.until) kept = { token: make(), until: performance.now() + ms };
    return kept.token;
  };
}
