import { createHash, randomBytes } from 'node:crypto';

/** 256 bits: nobody finds one by trying. */
const TOKEN_BYTES = 32;

/** Makes a token with which a host joins. It is told apart from other secrets by how it begins. */
export function makeJoinToken(): string {
  return `obn_${randomBytes(TOKEN_BYTES).toString('base64url')}`;
}

/** What is stored of a token. A plain hash does, since there is nothing to guess in what is random throughout. */
export function hashJoinToken(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
