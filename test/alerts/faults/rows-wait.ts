import { aWebServer } from '../../integration/deployed.ts';
import { deploySubject } from '../bed.ts';
import type { Fault } from '../fault.ts';

/** Rows that no database takes. While one of the two does, none waits. */
export const rowsWait: Fault = {
  name: 'rows-wait',
  about: 'the streamer’s way to both databases of rows is cut for longer than five minutes',
  rules: ['metrics-spool-age'],
  stage: 'streamer',
  patienceMs: 900_000,
  prepare: async (bed, stack) => {
    const subject = await deploySubject(bed, aWebServer(bed.image, ''));
    const { cutDatabases, joinDatabases } = bed.streamer;
    stack.defer(joinDatabases);
    return { deployments: [subject.id], harm: cutDatabases, heal: joinDatabases, remove: subject.remove };
  },
};

/** Makes in seconds what a spool of 1 MiB has room for. */
const HASTE = {
  ...{ METRICS_SPOOL_MAX_BYTES: '1MiB', METRICS_STORAGE_INTERVAL: '250ms', METRICS_COLLECTION_INTERVAL: '250ms' },
};

const REPLICAS = 12;

/** Rows that the disk has no room for either. They are told of for 15 minutes. */
export const rowsDropped: Fault = {
  name: 'rows-dropped',
  about: 'the same with room for 1 MiB of rows, which come every 250 ms of a dozen containers',
  rules: ['metrics-rows-dropped'],
  changed: '`METRICS_SPOOL_MAX_BYTES=1MiB`, `METRICS_STORAGE_INTERVAL=250ms`',
  stage: 'slow',
  patienceMs: 1_200_000,
  prepare: async (bed, stack) => {
    const limits = { cpuCores: 0.03, memoryBytes: 8n * 1024n * 1024n };
    const subject = await deploySubject(bed, aWebServer(bed.image, '', { replicas: REPLICAS, limits }));
    await bed.streamer.start({ settings: HASTE });
    stack.defer(bed.streamer.joinDatabases);
    return {
      deployments: [subject.id],
      harm: bed.streamer.cutDatabases,
      heal: async () => {
        await bed.streamer.joinDatabases();
        await bed.streamer.start();
      },
      remove: subject.remove,
    };
  },
};
