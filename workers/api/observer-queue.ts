import { withFailures } from '../../activities/failures.ts';
import { createObserveCluster, type StreamerObservation } from '../../activities/observe-cluster.ts';
import {
  listUnlookedHostnames,
  recordCertificate,
  recordStreamers,
} from '../../adapters/postgres/alerts/observations.ts';
import type { Database } from '../../adapters/postgres/database.ts';
import type { WorkerOptions } from '../../adapters/temporal/worker.ts';
import { createCertificateProbe } from '../../adapters/traefik/certificate-probe.ts';
import { OBSERVERS_QUEUE } from '../../contracts/task-queues.ts';

/** What looking at the cluster for alerts needs. */
export interface ObserverWork {
  readonly db: Database;
  readonly observeStreamers: () => Promise<readonly StreamerObservation[]>;
  /** Where the ingress serves HTTPS, `host:port`; `undefined` where nobody said. */
  readonly certificateAddress: string | undefined;
}

/** A look at streamers and one at certificates, which do not wait for each other. */
const ACTIVITIES = 2;

/** The queue of activities that look at what only an API process reaches. */
export function observerQueue({ db, observeStreamers, certificateAddress: address }: ObserverWork): WorkerOptions {
  const activities = createObserveCluster({
    observeStreamers,
    recordStreamers: (seen) => recordStreamers(db, seen),
    listHostnames: (limit) => listUnlookedHostnames(db, limit),
    readCertificate: address === undefined ? undefined : createCertificateProbe({ address }),
    recordCertificate: (hostname, notAfter) => recordCertificate(db, hostname, notAfter),
  });
  return { taskQueue: OBSERVERS_QUEUE, activities: withFailures(activities), maxActivities: ACTIVITIES };
}
