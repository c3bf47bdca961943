import { Readable, Transform } from 'node:stream';
import { Context } from '@temporalio/activity';
import type { VolumeActivities } from '../contracts/volumes.ts';
import { requireRoom } from '../domain/disk-guard.ts';
import { DomainError } from '../domain/errors.ts';
import { volumeLabels, volumeName } from '../domain/naming.ts';
import { withHeartbeats } from './heartbeats.ts';
import type { DiskWatch } from './node-ports.ts';
import type { SnapshotPorts } from './volume-snapshots.ts';

/** A node that has what is in a volume. */
export interface VolumeHolder {
  readonly nodeId: string;
  /** Empty while the node is known not to answer, like the token. */
  readonly gatewayUrl: string;
  /** Good for this copy at this node only. */
  readonly token: string;
  /** Which copy that node has. */
  readonly copy: number;
}

/** What carrying volumes needs from the world. */
export interface CarryPorts {
  readonly instance: string;
  readonly runtime: Pick<SnapshotPorts['runtime'], 'fillVolume'>;
  readonly disk: Pick<DiskWatch, 'freePercent' | 'minFreePercent'>;
  /** @throws NOT_FOUND when the volume is not on its way to this node; NODE_UNAVAILABLE while nobody can be asked. */
  fetchVolumeSource(of: { readonly volumeId: string; readonly copy: number }): Promise<VolumeHolder>;
  /** Streams what another node has. Ends with an error when it goes silent. */
  openVolume(of: VolumeHolder & { readonly volumeId: string }, signal: AbortSignal): AsyncIterable<Uint8Array>;
}

/**
 * Creates the activity that brings a volume to this node.
 *
 * Safe to run twice: the copy, which nobody mounts before all of it is here, is made anew. Each copy has a name of its
 * own, so an attempt that comes late meets no other one's.
 */
export function createCarryVolume(ports: CarryPorts): Pick<VolumeActivities, 'carryVolume'> {
  const { instance, runtime } = ports;
  return {
    carryVolume: ({ volumeId, projectId, copy }) =>
      withHeartbeats({ step: 'carry' }, async (heartbeats) => {
        const signal = Context.current().cancellationSignal;
        const holder = await ports.fetchVolumeSource({ volumeId, copy });
        if (holder.gatewayUrl === '') {
          throw new DomainError('NODE_UNAVAILABLE', `node ${holder.nodeId}, which has the volume, does not answer`);
        }
        const leaving = new AbortController();
        const chunks = ports.openVolume({ ...holder, volumeId }, AbortSignal.any([signal, leaving.signal]));
        const archive = Readable.from(chunks, { objectMode: false }).compose(
          watched(ports, (bytes) => heartbeats.report({ step: 'carry', bytes: String(bytes) })),
        );
        const name = volumeName(instance, { volumeId, copy });
        try {
          await runtime.fillVolume({ name, labels: volumeLabels({ instance, projectId, volumeId }) }, archive);
        } finally {
          leaving.abort(new Error('the volume is here, or is not to come'));
        }
      }),
  };
}

/** Passes bytes on while the disk has room for what runs here already. */
function watched({ disk }: Pick<CarryPorts, 'disk'>, onBytes: (bytes: number) => void): Transform {
  let bytes = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      onBytes(bytes);
      try {
        requireRoom('volume', { freePercent: disk.freePercent() ?? 100, minFreePercent: disk.minFreePercent });
        done(null, chunk);
      } catch (error) {
        done(error as Error);
      }
    },
  });
}
