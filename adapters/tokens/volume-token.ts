import { keysOf } from './control-token.ts';
import { createInternalSigner, type Now, verifyInternal } from './internal-token.ts';
import type { Jwk } from './keys.ts';
import { refuseToken } from './refusal.ts';

const TYPE = 'obiente-volume+jwt';
const ISSUER = 'obiente-control';

/** Which copy of which volume. */
export interface VolumeClaim {
  readonly volumeId: string;
  readonly copy: number;
}

/** Signs that a node may fetch what is in a volume from another. */
export interface VolumeTokenSigner {
  /** Signs a token for the node `from`; it is valid for 5 min. */
  sign(of: VolumeClaim & { readonly from: string; readonly to: string }): Promise<string>;
}

/** Creates the signer of volume tokens from the control plane's private key. */
export function createVolumeTokenSigner(privateJwk: Jwk, now: Now = () => new Date()): VolumeTokenSigner {
  const sign = createInternalSigner(privateJwk, now);
  return {
    sign: ({ volumeId: volume, copy, from, to }) =>
      sign({
        ...{ type: TYPE, issuer: ISSUER, subject: to, audience: `node:${from}` },
        more: { volume, copy: String(copy) },
      }),
  };
}

/** Verifies volume tokens. */
export interface VolumeTokenVerifier {
  /** Answers which copy of which volume the token is for. @throws UNAUTHENTICATED */
  verify(token: string): Promise<VolumeClaim>;
}

/** Creates the verifier of the node with this id; the keys are as for control tokens. */
export function createVolumeTokenVerifier(options: {
  getJwks: () => string | undefined;
  nodeId: string;
  now?: Now;
}): VolumeTokenVerifier {
  const { getJwks, nodeId, now = () => new Date() } = options;
  const expected = { type: TYPE, issuer: ISSUER, audience: `node:${nodeId}`, now };
  return {
    verify: async (token) => {
      const { volume, copy } = await verifyInternal(token, keysOf(getJwks()), expected);
      if (typeof volume !== 'string' || typeof copy !== 'string') throw refuseToken('it names no volume');
      return { volumeId: volume, copy: Number(copy) };
    },
  };
}
