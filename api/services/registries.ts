import { randomUUID } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import type { Database } from '../../adapters/postgres/database.ts';
import {
  deleteRegistryCredential,
  listRegistryCredentials,
  type RegistryCredentialRecord,
  setRegistryCredential,
} from '../../adapters/postgres/registries.ts';
import type { Sealing } from '../../adapters/sealing/sealing.ts';
import { parseRegistryHost, type RegistryRules } from '../../domain/image-reference.ts';
import type { RegistriesService, RegistryCredentialSchema } from '../../gen/obiente/cloud/v1/registries_pb.ts';
import { getCallerOrganization } from '../auth/caller.ts';
import { hashRequest } from '../request-identity.ts';
import { passwordPlace } from '../secret-places.ts';
import { CREATED_FORMS, createdCursor, createdKey, readPage } from '../wire/page.ts';

/** What the service of registries needs. */
export interface RegistriesDeps {
  readonly db: Database;
  readonly sealing: Sealing;
  readonly registries: RegistryRules;
}

/** Creates the service of registries. Passwords come in only; they are sealed before anything is stored. */
export function createRegistriesService(deps: RegistriesDeps): ServiceImpl<typeof RegistriesService> {
  const { db, sealing } = deps;
  return {
    async setRegistryCredential({ idempotencyKey, host: given, username, password }, context) {
      const organizationId = getCallerOrganization(context);
      const host = parseRegistryHost('host', given, deps.registries);
      const id = randomUUID();
      const [sealedPassword, fingerprint] = await Promise.all([
        sealing.seal({ ...passwordPlace({ organizationId, host }), version: id, value: password }),
        sealing.fingerprint({ organizationId, value: password }),
      ]);
      const requestHash = hashRequest('SetRegistryCredential', host, username, fingerprint);
      const credential = { id, organizationId, host, username, sealedPassword, fingerprint };
      return { credential: toWire(await setRegistryCredential(db, { ...credential, idempotencyKey, requestHash })) };
    },
    async listRegistryCredentials(request, context) {
      const organizationId = getCallerOrganization(context);
      const { rows, page } = await readPage(request.page, {
        identity: { list: 'registries', filters: [organizationId] },
        forms: CREATED_FORMS,
        keyOf: createdKey,
        read: ({ limit, after }) => listRegistryCredentials(db, { organizationId, limit, after: createdCursor(after) }),
      });
      return { credentials: rows.map(toWire), page };
    },
    async deleteRegistryCredential({ idempotencyKey, host: given }, context) {
      const organizationId = getCallerOrganization(context);
      // What the operator has ceased to allow can be deleted all the same.
      const host = parseRegistryHost('host', given, { allowedRegistries: [given.toLowerCase()] });
      const requestHash = hashRequest('DeleteRegistryCredential', host);
      await deleteRegistryCredential(db, { organizationId, host, idempotencyKey, requestHash });
      return {};
    },
  };
}

function toWire(credential: RegistryCredentialRecord): MessageInitShape<typeof RegistryCredentialSchema> {
  const { createdAt, ...fields } = credential;
  return { ...fields, createdAt: timestampFromDate(createdAt) };
}
