import { createImageTokenSigner } from '../../adapters/tokens/image-token.ts';
import type { Jwk } from '../../adapters/tokens/keys.ts';
import { createSwarmTokenSigner } from '../../adapters/tokens/swarm-token.ts';
import { createVolumeTokenSigner } from '../../adapters/tokens/volume-token.ts';

/** Creates what signs which node may have what of which other one. */
export function createTokenSigners(privateJwk: Jwk) {
  return {
    imageTokens: createImageTokenSigner(privateJwk),
    volumeTokens: createVolumeTokenSigner(privateJwk),
    swarmTokens: createSwarmTokenSigner(privateJwk),
  };
}
