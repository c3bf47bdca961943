import type { Database } from '../../adapters/postgres/database.ts';
import { findGitCredential } from '../../adapters/postgres/git-credentials.ts';
import { findBuildingService } from '../../adapters/postgres/held-service.ts';
import { findNode } from '../../adapters/postgres/nodes.ts';
import type { Sealing } from '../../adapters/sealing/sealing.ts';
import { encryptGitCredential } from '../../adapters/tokens/git-credential-envelope.ts';
import type { ServiceRef } from '../../contracts/rollout.ts';
import { credentialTargets, type StoredGitCredential } from '../../domain/git-credential.ts';
import { type GitRules, parseGitUrl } from '../../domain/git-source.ts';
import { gitSecretPlace } from '../secret-places.ts';

/** What looking for a source's credential needs. */
export interface SourceCredentialDeps {
  readonly db: Database;
  readonly sealing: Sealing;
  readonly git: GitRules;
}

/**
 * Answers with the credential of the deployment's organization for a service's repository, encrypted for a node; empty
 * without one, and when the node does not build that service just now.
 */
export async function sealSourceCredential(
  { db, sealing, git }: SourceCredentialDeps,
  { nodeId, ...of }: ServiceRef & { readonly nodeId: string },
): Promise<string> {
  const [node, built] = await Promise.all([findNode(db, nodeId), findBuildingService(db, { ...of, nodeId })]);
  if (!node || built?.service.source.kind !== 'git') return '';
  const url = parseGitUrl('url', built.service.source.url, git);
  const { organizationId } = built;
  const kind = url.protocol;
  const stored = await findGitCredential(db, { organizationId, kind, targets: credentialTargets(url) });
  if (!stored) return '';
  const { id: version, target, username, knownHosts, sealedSecret: sealed } = stored;
  const secret = await sealing.open({ ...gitSecretPlace({ organizationId, target, kind }), version, sealed });
  const credential: StoredGitCredential =
    kind === 'https' ? { kind, username, password: secret } : { kind, privateKey: secret, knownHosts };
  return await encryptGitCredential(node.encryptionJwk, credential);
}
