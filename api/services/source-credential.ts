import type { Database } from '../../adapters/postgres/database.ts';
import { findGitCredential } from '../../adapters/postgres/git-credentials.ts';
import { findBuildingService, type HeldServiceRef } from '../../adapters/postgres/held-service.ts';
import { findNode } from '../../adapters/postgres/nodes.ts';
import { findOpenReading } from '../../adapters/postgres/source-readings.ts';
import type { Sealing } from '../../adapters/sealing/sealing.ts';
import { encryptGitCredential } from '../../adapters/tokens/git-credential-envelope.ts';
import type { ServiceRef } from '../../contracts/rollout.ts';
import { repositoryOfSpec } from '../../domain/compose-origin.ts';
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
  const [node, wanted] = await Promise.all([findNode(db, nodeId), findRepository(db, { ...of, nodeId })]);
  if (!node || !wanted) return '';
  const url = parseGitUrl('url', wanted.url, git);
  const { organizationId } = wanted;
  const kind = url.protocol;
  const stored = await findGitCredential(db, { organizationId, kind, targets: credentialTargets(url) });
  if (!stored) return '';
  const { id: version, target, username, knownHosts, sealedSecret: sealed } = stored;
  const secret = await sealing.open({ ...gitSecretPlace({ organizationId, target, kind }), version, sealed });
  const credential: StoredGitCredential =
    kind === 'https' ? { kind, username, password: secret } : { kind, privateKey: secret, knownHosts };
  return await encryptGitCredential(node.encryptionJwk, credential);
}

/** The repository that a node builds a service from, or looks at to find out what there is. */
async function findRepository(db: Database, of: HeldServiceRef) {
  const built = await findBuildingService(db, of);
  if (built?.service.source.kind === 'git') return { ...built, url: built.service.source.url };
  const reading = await findOpenReading(db, of);
  const repository = reading && repositoryOfSpec(reading.spec);
  return reading && repository && { organizationId: reading.organizationId, url: repository.url };
}
