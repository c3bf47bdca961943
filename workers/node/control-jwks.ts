import { readControlJwks, writeControlJwks } from '../../adapters/node-identity/node-identity.ts';

/** The control plane's public keys, newest first known. */
export interface ControlJwks {
  /** A JWK set as JSON; `undefined` before the first enrolment of this node ever. */
  current(): string | undefined;
  /** Keeps newer ones, for the streamer of this host and the next start as well. */
  keep(jwks: string): Promise<void>;
}

/** Reads the keys as last kept, so that a node which restarts believes its control plane at once. */
export async function openControlJwks(dir: string): Promise<ControlJwks> {
  let known = await readControlJwks(dir);
  return {
    current: () => known,
    keep: async (jwks) => {
      if (jwks === known) return;
      await writeControlJwks(dir, jwks);
      known = jwks;
    },
  };
}
