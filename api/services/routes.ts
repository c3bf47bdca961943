import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import type { Database } from '../../adapters/postgres/database.ts';
import { listRoutes, type RouteRecord } from '../../adapters/postgres/routes.ts';
import type { RouteSchema, RoutesService } from '../../gen/obiente/cloud/v1/routes_pb.ts';
import { getCallerOrganization } from '../auth/caller.ts';
import type { PublicAddress } from '../wire/address.ts';
import { readPage } from '../wire/page.ts';

/** Creates the service of routes. */
export function createRoutesService(deps: {
  readonly db: Database;
  readonly address: PublicAddress;
}): ServiceImpl<typeof RoutesService> {
  return {
    async listRoutes(request, context) {
      const organizationId = getCallerOrganization(context);
      const { rows, page } = await readPage(request.page, {
        identity: { list: 'routes', filters: [organizationId] },
        forms: ['name'],
        keyOf: (route: RouteRecord) => [route.hostname],
        read: ({ limit, after }) => listRoutes(deps.db, { organizationId, limit, afterHostname: after?.[0] }),
      });
      return { routes: rows.map((route) => toWire(route, deps.address)), page };
    },
  };
}

function toWire(route: RouteRecord, address: PublicAddress): MessageInitShape<typeof RouteSchema> {
  return {
    id: route.id,
    hostname: route.hostname,
    deploymentId: route.deploymentId,
    service: route.service,
    revision: route.revision,
    url: address.urlOf(route.hostname),
    upstreams: route.upstreams.map(({ host, port }) => `${host}:${port}`),
    createdAt: timestampFromDate(route.createdAt),
  };
}
