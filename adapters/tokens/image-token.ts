import { keysOf } from './control-token.ts';
import { createInternalSigner, type Now, verifyInternal } from './internal-token.ts';
import type { Jwk } from './keys.ts';
import { refuseToken } from './refusal.ts';

const TYPE = 'obiente-image+jwt';
const ISSUER = 'obiente-control';

/** Which image of which deployment. */
export interface ImageClaim {
  readonly deploymentId: string;
  /** Docker's `sha256:…`. */
  readonly imageId: string;
}

/** Signs that a node may fetch one image from another. */
export interface ImageTokenSigner {
  /** Signs a token for the node `from`; it is valid for 5 min. */
  sign(of: ImageClaim & { readonly from: string; readonly to: string }): Promise<string>;
}

/** Creates the signer of image tokens from the control plane's private key. */
export function createImageTokenSigner(privateJwk: Jwk, now: Now = () => new Date()): ImageTokenSigner {
  const sign = createInternalSigner(privateJwk, now);
  return {
    sign: ({ deploymentId, imageId, from, to }) =>
      sign({
        ...{ type: TYPE, issuer: ISSUER, subject: to, audience: `node:${from}` },
        more: { deployment: deploymentId, image: imageId },
      }),
  };
}

/** Verifies image tokens. */
export interface ImageTokenVerifier {
  /** Answers which image the token is for. @throws UNAUTHENTICATED */
  verify(token: string): Promise<ImageClaim>;
}

/** Creates the verifier of the node with this id; the keys are as for control tokens. */
export function createImageTokenVerifier(options: {
  getJwks: () => string | undefined;
  nodeId: string;
  now?: Now;
}): ImageTokenVerifier {
  const { getJwks, nodeId, now = () => new Date() } = options;
  const expected = { type: TYPE, issuer: ISSUER, audience: `node:${nodeId}`, now };
  return {
    verify: async (token) => {
      const { deployment, image } = await verifyInternal(token, keysOf(getJwks()), expected);
      if (typeof deployment !== 'string' || typeof image !== 'string') throw refuseToken('it names no image');
      return { deploymentId: deployment, imageId: image };
    },
  };
}
