import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import type { Database } from '../../adapters/postgres/database.ts';
import {
  beginRestore,
  createSnapshot,
  deleteSnapshot,
  listSnapshots,
  type SnapshotRecord,
} from '../../adapters/postgres/snapshots.ts';
import type { WorkflowGateway } from '../../adapters/temporal/workflow-gateway.ts';
import { parseVolumeName } from '../../domain/volumes.ts';
import { type SnapshotSchema, SnapshotState, type VolumesService } from '../../gen/obiente/cloud/v1/volumes_pb.ts';
import { getCaller, getCallerOrganization } from '../auth/caller.ts';
import { hashRequest } from '../request-identity.ts';
import { CREATED_FORMS, createdCursor, createdKey, readPage } from '../wire/page.ts';
import { toWireVolume } from '../wire/volume.ts';

/** What the RPCs of snapshots need. */
export interface SnapshotsDeps {
  readonly db: Database;
  readonly workflows: Pick<WorkflowGateway, 'nodeDoomed' | 'takeSnapshot' | 'restoreSnapshot'>;
}

type Snapshots = Pick<
  ServiceImpl<typeof VolumesService>,
  'createSnapshot' | 'listSnapshots' | 'restoreSnapshot' | 'deleteSnapshot'
>;

const TO_STATE: Record<SnapshotRecord['state'], SnapshotState> = {
  running: SnapshotState.RUNNING,
  succeeded: SnapshotState.SUCCEEDED,
  failed: SnapshotState.FAILED,
};

/** Creates the part of the service of volumes that deals with snapshots. Work is started after it is recorded. */
export function createSnapshots({ db, workflows }: SnapshotsDeps): Snapshots {
  return {
    async createSnapshot({ idempotencyKey, projectId: project, name, stopWriter }, context) {
      const organizationId = getCallerOrganization(context);
      const projectId = project.toLowerCase();
      const requestHash = hashRequest('CreateSnapshot', projectId, name, ...(stopWriter ? ['stop writer'] : []));
      const snapshot = await createSnapshot(db, { organizationId, projectId, name, idempotencyKey, requestHash });
      const { id: snapshotId, volumeId, volumeCopy: copy, nodeId, state } = snapshot;
      const of = copy === 0 ? { volumeId } : { volumeId, copy };
      const stopFor = stopWriter ? { stopFor: { actorUserId: getCaller(context).userId } } : {};
      if (state === 'running') await workflows.takeSnapshot({ snapshotId, ...of, nodeId, ...stopFor });
      return { snapshot: toWire(snapshot) };
    },
    async listSnapshots(request) {
      const projectId = request.projectId.toLowerCase();
      const { volumeName } = request;
      const { rows, page } = await readPage(request.page, {
        identity: { list: 'snapshots', filters: [projectId, volumeName] },
        forms: CREATED_FORMS,
        keyOf: createdKey,
        read: ({ limit, after }) =>
          listSnapshots(db, { projectId, volumeName: volumeName || undefined, limit, after: createdCursor(after) }),
      });
      return { snapshots: rows.map(toWire), page };
    },
    async restoreSnapshot({ idempotencyKey, projectId: project, snapshotId: id, name: given }, context) {
      const organizationId = getCallerOrganization(context);
      const [projectId, snapshotId] = [project.toLowerCase(), id.toLowerCase()];
      const name = parseVolumeName('name', given);
      const requestHash = hashRequest('RestoreSnapshot', projectId, snapshotId, name);
      const wanted = { organizationId, projectId, snapshotId, name, idempotencyKey, requestHash };
      const { volume, content } = await beginRestore(db, wanted);
      const { id: volumeId, nodeId } = volume;
      if (volume.restoringFrom !== null && nodeId !== null) {
        await workflows.restoreSnapshot({ volumeId, projectId, snapshotId, nodeId, ...content });
      }
      return { volume: toWireVolume(volume) };
    },
    async deleteSnapshot({ idempotencyKey, projectId: project, snapshotId: id }, context) {
      const organizationId = getCallerOrganization(context);
      const [projectId, snapshotId] = [project.toLowerCase(), id.toLowerCase()];
      const requestHash = hashRequest('DeleteSnapshot', projectId, snapshotId);
      const of = { organizationId, projectId, snapshotId, idempotencyKey, requestHash };
      const { nodeId } = await deleteSnapshot(db, of);
      if (nodeId !== null) await workflows.nodeDoomed(nodeId);
      return {};
    },
  };
}

function toWire(snapshot: SnapshotRecord): MessageInitShape<typeof SnapshotSchema> {
  const { id, projectId, volumeName, nodeId, state, sizeBytes, sha256, removing, createdAt } = snapshot;
  return {
    ...{ id, projectId, volumeName, nodeId, removing },
    state: TO_STATE[state],
    sizeBytes: BigInt(sizeBytes ?? 0),
    sha256: sha256 ?? '',
    errorCode: snapshot.errorCode ?? '',
    errorMessage: snapshot.errorMessage ?? '',
    createdAt: timestampFromDate(createdAt),
  };
}
