import { createLocalJWKSet } from 'jose';
import { createInternalSigner, type Now, verifyInternal } from './internal-token.ts';
import { type Jwk, toPublicJwk } from './keys.ts';
import { refuseToken } from './refusal.ts';

const TYPE = 'obiente-control+jwt';
const ISSUER = 'obiente-control';

/** Signs what the control plane says to a gateway. */
export interface ControlTokenSigner {
  /** Signs a token for one audience: `node:<node id>` or `streamer:<node id>`. It is valid for 5 min. */
  sign(input: { audience: string }): Promise<string>;
  /** The public keys as the JSON text of a JWK set, as nodes get it. */
  readonly publicJwks: string;
}

/** Creates the signer of the control plane's tokens from its private key. */
export function createControlTokenSigner(privateJwk: Jwk, now: Now = () => new Date()): ControlTokenSigner {
  const sign = createInternalSigner(privateJwk, now);
  return {
    sign: ({ audience }) => sign({ type: TYPE, issuer: ISSUER, subject: 'control', audience }),
    publicJwks: JSON.stringify({ keys: [toPublicJwk(privateJwk)] }),
  };
}

/** Verifies a token of the control plane. */
export interface ControlTokenVerifier {
  /** @throws UNAUTHENTICATED */
  verify(token: string): Promise<void>;
}

/**
 * Creates the verifier that a gateway uses.
 *
 * A gateway asks once, when a call begins: that a long stream must end is for the API to notice, which ends it.
 *
 * @param options.getJwks the control plane's public keys, newest answer of enrolment or heartbeat; `undefined` before
 *   the first one.
 * @param options.audience `node:<node id>` or `streamer:<node id>`.
 */
export function createControlTokenVerifier(options: {
  getJwks: () => string | undefined;
  audience: string;
  now?: Now;
}): ControlTokenVerifier {
  const { getJwks, audience, now = () => new Date() } = options;
  return {
    verify: async (token) => {
      await verifyInternal(token, keysOf(getJwks()), { type: TYPE, issuer: ISSUER, audience, now });
    },
  };
}

/** The keys of a JWK set as its JSON text. @throws UNAUTHENTICATED while there are none */
export function keysOf(jwks: string | undefined): ReturnType<typeof createLocalJWKSet> {
  try {
    return createLocalJWKSet(JSON.parse(jwks ?? ''));
  } catch {
    // Nothing was received yet, or it is no key set: nobody can be believed.
    throw refuseToken('the keys of the control plane are not known yet', { hint: 'Try again in a few seconds.' });
  }
}
