import type { ServiceImpl } from '@connectrpc/connect';
import type { Database } from '../../adapters/postgres/database.ts';
import { listMemberships } from '../../adapters/postgres/users.ts';
import type { IdentityService } from '../../gen/obiente/cloud/v1/identity_pb.ts';
import { getCaller } from '../auth/caller.ts';

/** Creates the service that tells callers who they are. */
export function createIdentityService({ db }: { readonly db: Database }): ServiceImpl<typeof IdentityService> {
  return {
    async whoAmI(_request, context) {
      const { userId, subject, email } = getCaller(context);
      const memberships = await listMemberships(db, userId);
      return { userId, subject, email: email ?? '', memberships: [...memberships] };
    },
  };
}
