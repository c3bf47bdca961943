import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { VolumeRecord } from '../../adapters/postgres/volumes.ts';
import type { VolumeSchema } from '../../gen/obiente/cloud/v1/volumes_pb.ts';

/** Puts a volume on the wire. */
export function toWireVolume(volume: VolumeRecord): MessageInitShape<typeof VolumeSchema> {
  const { nodeId, writerDeployment, writerService, createdAt, mountedBy, ...fields } = volume;
  return {
    ...fields,
    nodeId: nodeId ?? '',
    writerDeployment: writerDeployment ?? '',
    writerService: writerService ?? '',
    restoringFrom: volume.restoringFrom ?? '',
    restoreError: volume.restoreError ?? '',
    mountedBy: [...mountedBy],
    createdAt: timestampFromDate(createdAt),
  };
}
