import { generateNodeKeys } from '../../adapters/tokens/keys.ts';
import { JOIN_TOKEN } from './api-rig.ts';

/** A node's request to join, with keys of its own. */
export function anEnrolment(
  changes: {
    nodeId?: string;
    memoryBytes?: bigint;
    joinToken?: string;
    hostname?: string;
    swarmNodeId?: string;
    swarmManager?: boolean;
  } = {},
) {
  const { signing, encryption } = generateNodeKeys();
  return {
    nodeId: 'node-00000001',
    joinToken: JOIN_TOKEN,
    signingJwk: JSON.stringify(signing.publicJwk),
    encryptionJwk: JSON.stringify(encryption.publicJwk),
    hostname: 'host',
    cpuCores: 16,
    memoryBytes: 64n * 1024n ** 3n,
    dockerVersion: '28.0.0',
    architecture: 'amd64',
    address: '127.0.0.1',
    gatewayUrl: 'http://127.0.0.1:7410',
    streamerUrl: 'http://127.0.0.1:7411',
    ...changes,
  };
}
