import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import type { Database } from '../../adapters/postgres/database.ts';
import {
  createOrganization,
  findOrganization,
  listOrganizations,
  type OrganizationRecord,
} from '../../adapters/postgres/organizations.ts';
import { notFound } from '../../domain/errors.ts';
import type { OrganizationSchema, OrganizationsService } from '../../gen/obiente/cloud/v1/organizations_pb.ts';
import { getCaller, getCallerOrganization } from '../auth/caller.ts';
import { hashRequest } from '../request-identity.ts';
import { CREATED_FORMS, createdCursor, createdKey, readPage } from '../wire/page.ts';

/** Creates the service of organizations. */
export function createOrganizationsService({
  db,
}: {
  readonly db: Database;
}): ServiceImpl<typeof OrganizationsService> {
  return {
    async createOrganization({ idempotencyKey, name }, context) {
      const { userId } = getCaller(context);
      const requestHash = hashRequest('CreateOrganization', name);
      return { organization: toWire(await createOrganization(db, { userId, name, idempotencyKey, requestHash })) };
    },
    async getOrganization(_request, context) {
      const organization = await findOrganization(db, getCallerOrganization(context));
      if (!organization) throw notFound('organization');
      return { organization: toWire(organization) };
    },
    async listOrganizations(request, context) {
      const { userId } = getCaller(context);
      const { rows, page } = await readPage(request.page, {
        identity: { list: 'organizations', filters: [userId] },
        forms: CREATED_FORMS,
        keyOf: createdKey,
        read: ({ limit, after }) => listOrganizations(db, { userId, limit, after: createdCursor(after) }),
      });
      return { organizations: rows.map(toWire), page };
    },
  };
}

function toWire({ id, name, createdAt }: OrganizationRecord): MessageInitShape<typeof OrganizationSchema> {
  return { id, name, createdAt: timestampFromDate(createdAt) };
}
