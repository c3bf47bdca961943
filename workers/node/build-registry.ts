import { readSecretFile } from '../../adapters/sealing/secret-file.ts';
import type { NodeConfig } from '../../config/node.ts';
import { DomainError } from '../../domain/errors.ts';
import type { RegistryCredential } from '../../domain/registry-credential.ts';

/** The registry that whoever runs the platform has for what is built on it. */
export interface BuildRegistry {
  readonly credential: RegistryCredential | null;
  /** The repository for the images of a deployment. */
  repositoryOf(deploymentId: string): string;
  /** Whether a reference leads there: the credential is shown to nobody else. */
  holds(reference: string): boolean;
}

/** Opens the registry as it is configured; `null` when none is. @throws CONFIGURATION */
export async function openBuildRegistry(config: NodeConfig): Promise<BuildRegistry | null> {
  const { BUILD_REGISTRY: prefix, BUILD_REGISTRY_CREDENTIAL_FILE: file, OBIENTE_INSTANCE: instance } = config;
  if (prefix === undefined) return null;
  return {
    credential: file === undefined ? null : await readCredential(file),
    repositoryOf: (deploymentId) => `${prefix}/${instance}/${deploymentId.replaceAll('-', '')}`,
    holds: (reference) => reference.startsWith(`${prefix}/${instance}/`),
  };
}

async function readCredential(file: string): Promise<RegistryCredential> {
  const text = await readSecretFile(file, 'BUILD_REGISTRY_CREDENTIAL_FILE');
  const colon = text.indexOf(':');
  if (colon > 0 && colon < text.length - 1) {
    return { id: 'build-registry', username: text.slice(0, colon), password: text.slice(colon + 1) };
  }
  throw new DomainError('CONFIGURATION', 'BUILD_REGISTRY_CREDENTIAL_FILE: must hold username:password in one line');
}
