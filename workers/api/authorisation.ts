import type { Log } from '../../adapters/logging/log.ts';
import type { Database } from '../../adapters/postgres/database.ts';
import { findAdmittedKey } from '../../adapters/postgres/node-admissions.ts';
import { holdsLease } from '../../adapters/postgres/node-leases.ts';
import { findNode } from '../../adapters/postgres/nodes.ts';
import { findOrganizationOf, findRole } from '../../adapters/postgres/ownership.ts';
import { ensureUser } from '../../adapters/postgres/users.ts';
import { createAccessTokenVerifier } from '../../adapters/tokens/access-token-verifier.ts';
import { createNodeTokenVerifier } from '../../adapters/tokens/node-token.ts';
import type { IdentityStore } from '../../api/auth/authorization.ts';
import { createAuthInterceptor } from '../../api/auth/interceptor.ts';
import { createAdmissionCheck, createNodeAuthInterceptor } from '../../api/auth/node-auth.ts';
import type { ApiConfig } from '../../config/api.ts';
import { issuerOf } from '../../config/identity.ts';

/** Who may call: users by the tokens of their issuer, nodes by the keys with which they enrolled. */
export function createAuthorisation(db: Database, config: ApiConfig, log: Log) {
  const verifier = createAccessTokenVerifier({ issuer: issuerOf(config), audience: config.OIDC_AUDIENCE, log });
  const findSigningJwk = async (nodeId: string) => {
    const node = await findNode(db, nodeId);
    return node && JSON.stringify(node.signingJwk);
  };
  const findAdmitted = async (nodeId: string) => {
    const key = await findAdmittedKey(db, nodeId);
    return key && JSON.stringify(key);
  };
  return {
    checkAdmission: createAdmissionCheck(createNodeTokenVerifier({ findSigningJwk: findAdmitted })),
    userAuth: createAuthInterceptor({
      verifier,
      store: createIdentityStore(db),
      operators: new Set(config.PLATFORM_OPERATORS),
    }),
    nodeAuth: createNodeAuthInterceptor({
      verifier: createNodeTokenVerifier({ findSigningJwk }),
      holdsLease: (process) => holdsLease(db, process),
    }),
  };
}

/** What the authorisation asks of the control database. */
export function createIdentityStore(db: Database): IdentityStore {
  return {
    ensureUser: (identity) => ensureUser(db, identity),
    findOrganizationOf: (kind, id) => findOrganizationOf(db, kind, id),
    findRole: (member) => findRole(db, member),
  };
}
