import { createClient } from '@connectrpc/connect';
import { createConnectTransport, Http2SessionManager } from '@connectrpc/connect-node';
import { ControlService } from '../../gen/obiente/internal/v1/control_pb.ts';
import { tolerateLateSessionErrors } from '../http2/late-session-errors.ts';
import type { Jwk } from '../tokens/keys.ts';
import { decryptMembership, type Membership } from '../tokens/membership-envelope.ts';

const TIMEOUT_MS = 20_000;

/** A host that wants to be a node. */
export interface JoiningHost {
  readonly url: string;
  readonly token: string;
  readonly nodeId: string;
  /** Public keys, JWKs as JSON. */
  readonly signingJwk: string;
  readonly encryptionJwk: string;
  /** Opens the answer. */
  readonly privateEncryptionJwk: Jwk;
}

/**
 * Uses a join token up: from now on this host's keys speak for its node. Asking again with the same keys is safe.
 *
 * @returns what the node's processes are told.
 * @throws ConnectError as the control plane says it: unauthenticated for a token that is wrong, used, expired or revoked
 */
export async function joinCluster(host: JoiningHost): Promise<Membership> {
  const { url, token, nodeId, signingJwk, encryptionJwk } = host;
  tolerateLateSessionErrors();
  const sessionManager = new Http2SessionManager(url);
  const transport = createConnectTransport({
    ...{ baseUrl: url, httpVersion: '2', sessionManager, defaultTimeoutMs: TIMEOUT_MS },
  });
  try {
    const client = createClient(ControlService, transport);
    const { jwe } = await client.joinNode({ token, nodeId, signingJwk, encryptionJwk });
    return await decryptMembership(host.privateEncryptionJwk, jwe);
  } finally {
    sessionManager.abort();
  }
}
