import type { ServiceImpl } from '@connectrpc/connect';
import type { Database } from '../../adapters/postgres/database.ts';
import { createVolume, deleteVolume, findVolume, listVolumes } from '../../adapters/postgres/volumes.ts';
import { notFound } from '../../domain/errors.ts';
import { parseVolumeName } from '../../domain/volumes.ts';
import type { VolumesService } from '../../gen/obiente/cloud/v1/volumes_pb.ts';
import { getCallerOrganization } from '../auth/caller.ts';
import { hashRequest } from '../request-identity.ts';
import { CREATED_FORMS, createdCursor, createdKey, readPage } from '../wire/page.ts';
import { toWireVolume } from '../wire/volume.ts';
import { createSnapshots, type SnapshotsDeps } from './snapshots.ts';

/** What the service of volumes needs. */
export interface VolumesDeps extends SnapshotsDeps {
  readonly db: Database;
}

/** Creates the service of volumes. */
export function createVolumesService({ db, workflows }: VolumesDeps): ServiceImpl<typeof VolumesService> {
  return {
    ...createSnapshots({ db, workflows }),
    async createVolume({ idempotencyKey, projectId: project, name: given }, context) {
      const organizationId = getCallerOrganization(context);
      const projectId = project.toLowerCase();
      const name = parseVolumeName('name', given);
      const requestHash = hashRequest('CreateVolume', projectId, name);
      const creation = { organizationId, projectId, name, idempotencyKey, requestHash };
      return { volume: toWireVolume(await createVolume(db, creation)) };
    },
    async getVolume({ projectId, name }) {
      const volume = await findVolume(db, { projectId: projectId.toLowerCase(), name });
      if (!volume) throw notFound('volume');
      return { volume: toWireVolume(volume) };
    },
    async listVolumes(request, context) {
      const organizationId = getCallerOrganization(context);
      const projectId = request.projectId.toLowerCase();
      const { rows, page } = await readPage(request.page, {
        identity: { list: 'volumes', filters: [organizationId, projectId] },
        forms: CREATED_FORMS,
        keyOf: createdKey,
        read: ({ limit, after }) =>
          listVolumes(db, { organizationId, projectId: projectId || undefined, limit, after: createdCursor(after) }),
      });
      return { volumes: rows.map(toWireVolume), page };
    },
    async deleteVolume({ idempotencyKey, projectId: project, name }, context) {
      const organizationId = getCallerOrganization(context);
      const projectId = project.toLowerCase();
      const requestHash = hashRequest('DeleteVolume', projectId, name);
      const { nodeId } = await deleteVolume(db, { organizationId, projectId, name, idempotencyKey, requestHash });
      // Should this fail, the caller repeats it; and the node's workflow looks by itself after its next watch.
      if (nodeId !== null) await workflows.nodeDoomed(nodeId);
      return {};
    },
  };
}
