import { joinCluster } from '../../adapters/control-client/join-cluster.ts';
import { writePrivateFile } from '../../adapters/files/private-file.ts';
import { openNodeIdentity } from '../../adapters/node-identity/node-identity.ts';
import { generateNodeKeys, parsePrivateJwk, toPublicJwk } from '../../adapters/tokens/keys.ts';
import type { Membership } from '../../adapters/tokens/membership-envelope.ts';
import type { WantedNode } from './join-options.ts';
import { environmentOf, type HostRole, hostRoles, type Installed, payloadKeyFile } from './node-files.ts';

/** A host that has become a node. */
export interface JoinedNode {
  readonly nodeId: string;
  readonly roles: readonly HostRole[];
  readonly membership: Membership;
}

/**
 * Makes this host a node: takes or makes its identity, uses the token up, and writes what its roles are told into files
 * that only this user may read. Doing it again on the same host keeps the node's id.
 *
 * @throws as `joinCluster` and `openNodeIdentity`
 */
export async function becomeNode(node: WantedNode, host: Installed, token: string): Promise<JoinedNode> {
  const identity = await openNodeIdentity(node.dir, () => {
    const { signing, encryption } = generateNodeKeys();
    return { signingJwk: JSON.stringify(signing.privateJwk), encryptionJwk: JSON.stringify(encryption.privateJwk) };
  });
  const signing = parsePrivateJwk(identity.signingJwk, '--dir');
  const encryption = parsePrivateJwk(identity.encryptionJwk, '--dir');
  const membership = await joinCluster({
    ...{ url: node.server, token, nodeId: identity.nodeId, privateEncryptionJwk: encryption },
    signingJwk: JSON.stringify(toPublicJwk(signing)),
    encryptionJwk: JSON.stringify(toPublicJwk(encryption)),
  });
  const roles = hostRoles(node, host, { hasStreamer: membership.metricsDatabaseUrl !== null });
  await writePrivateFile(payloadKeyFile(node), `${membership.payloadKeys}\n`);
  for (const { role, environmentFile } of roles) {
    await writePrivateFile(environmentFile, environmentOf(role, node, { ...host, membership }));
  }
  return { nodeId: identity.nodeId, roles, membership };
}
