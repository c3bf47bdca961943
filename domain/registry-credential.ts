/** A credential for a registry, in the clear. Never logged, never stored, never sent but in an envelope. */
export interface RegistryCredential {
  /** UUID; another one after each replacement, so that what was granted for an old password is not for a new one. */
  readonly id: string;
  readonly username: string;
  readonly password: string;
}
