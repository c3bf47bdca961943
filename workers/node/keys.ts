import { type ControlClient, createControlClient } from '../../adapters/control-client/control-client.ts';
import { openNodeIdentity } from '../../adapters/node-identity/node-identity.ts';
import { decryptEnvironment } from '../../adapters/tokens/environment-envelope.ts';
import { decryptGitCredential } from '../../adapters/tokens/git-credential-envelope.ts';
import { generateNodeKeys, parsePrivateJwk, toPublicJwk } from '../../adapters/tokens/keys.ts';
import { createNodeTokenSigner } from '../../adapters/tokens/node-token.ts';
import { decryptRegistryCredential } from '../../adapters/tokens/registry-credential-envelope.ts';
import { decryptService } from '../../adapters/tokens/service-envelope.ts';
import type { ServiceRef } from '../../contracts/rollout.ts';
import type { StoredGitCredential } from '../../domain/git-credential.ts';
import type { RegistryCredential } from '../../domain/registry-credential.ts';

/** A new token a minute is enough for calls every few seconds, and none of them is ever near its end of 5 min. */
const TOKEN_KEPT_MS = 60_000;

/** Who this node is, and what it can do because of it. */
export interface NodeKeys {
  readonly nodeId: string;
  /** What others may know: the id, and the public keys as JWK texts. */
  readonly publicHalf: { readonly nodeId: string; readonly signingJwk: string; readonly encryptionJwk: string };
  readonly control: ControlClient;
  /** Fetches and opens a service's variables. */
  openEnvironment(of: ServiceRef): Promise<Readonly<Record<string, string>>>;
  /** Fetches and opens the arguments with which a service's image is built. */
  openBuildArguments(of: ServiceRef): Promise<Readonly<Record<string, string>>>;
  /** Fetches and opens the credential for a service's image; `null` when there is none. */
  openRegistryCredential(of: ServiceRef): Promise<RegistryCredential | null>;
  /** Fetches and opens the credential for a service's Git repository; `null` when there is none. */
  openSourceCredential(of: ServiceRef): Promise<StoredGitCredential | null>;
  /** Opens a service that another node has encrypted for this one: whatever it has put in. */
  openService(jwe: string): Promise<unknown>;
}

/** Reads or makes this node's identity, and creates the client that speaks with it. @throws CONFIGURATION */
export async function connectIdentity(from: {
  readonly dir: string;
  readonly controlUrl: string;
  /** Under which epoch this process has the node's lease. */
  epoch(): number;
}): Promise<NodeKeys> {
  const identity = await openNodeIdentity(from.dir, makeKeys);
  const signing = parsePrivateJwk(identity.signingJwk, 'NODE_KEY_DIR');
  const encryption = parsePrivateJwk(identity.encryptionJwk, 'NODE_KEY_DIR');
  const { sign } = createNodeTokenSigner(signing, identity.nodeId);
  const control = createControlClient({ url: from.controlUrl, sign: keptFor(TOKEN_KEPT_MS, from.epoch, sign) });
  return {
    nodeId: identity.nodeId,
    publicHalf: {
      nodeId: identity.nodeId,
      signingJwk: JSON.stringify(toPublicJwk(signing)),
      encryptionJwk: JSON.stringify(toPublicJwk(encryption)),
    },
    control,
    openEnvironment: async (of) => toRecord(await decryptEnvironment(encryption, await control.fetchEnvironment(of))),
    openBuildArguments: async (of) =>
      toRecord(await decryptEnvironment(encryption, await control.fetchBuildArguments(of))),
    openSourceCredential: async (of) => {
      const jwe = await control.fetchSourceCredential(of);
      return jwe === '' ? null : await decryptGitCredential(encryption, jwe);
    },
    openService: async (jwe) => await decryptService(encryption, jwe),
    openRegistryCredential: async (of) => {
      const jwe = await control.fetchRegistryCredential(of);
      return jwe === '' ? null : await decryptRegistryCredential(encryption, jwe);
    },
  };
}

function toRecord(
  variables: readonly { readonly name: string; readonly value: string }[],
): Readonly<Record<string, string>> {
  return Object.fromEntries(variables.map(({ name, value }) => [name, value]));
}

function makeKeys(): { signingJwk: string; encryptionJwk: string } {
  const { signing, encryption } = generateNodeKeys();
  return { signingJwk: JSON.stringify(signing.privateJwk), encryptionJwk: JSON.stringify(encryption.privateJwk) };
}

function keptFor(ms: number, epoch: () => number, make: (epoch: number) => Promise<string>): () => Promise<string> {
  let kept: { readonly token: Promise<string>; readonly until: number; readonly epoch: number } | undefined;
  return () => {
    if (!kept || kept.epoch !== epoch() || performance.now() > kept.until) {
      kept = { token: make(epoch()), until: performance.now() + ms, epoch: epoch() };
    }
    return kept.token;
  };
}
