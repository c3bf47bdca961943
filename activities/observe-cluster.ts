import type { ObserverActivities } from '../contracts/alerts.ts';

/** What a streamer said of itself, or that it said nothing. */
export interface StreamerObservation {
  readonly nodeId: string;
  readonly reachable: boolean;
  readonly healthy: boolean;
  /** 0 closed, 1 open, 2 half-open. */
  readonly breakerState: number;
  /** Age of the oldest row that waits for the metrics database; `null` where the streamer does not say. */
  readonly spoolAgeSeconds: number | null;
  /** Rows lost since the streamer began. */
  readonly rowsLost: number;
}

/** What observing needs. */
export interface ObserveClusterDeps {
  /** Asks all streamers; a silent one is in the answer as not reachable. */
  readonly observeStreamers: () => Promise<readonly StreamerObservation[]>;
  readonly recordStreamers: (seen: readonly StreamerObservation[]) => Promise<void>;
  /** Hostnames whose certificate is to be looked at, a bounded number. */
  readonly listHostnames: (limit: number) => Promise<readonly string[]>;
  /** When the certificate that the ingress serves for a hostname expires; `null` when none could be read. */
  readonly readCertificate: ((hostname: string) => Promise<Date | null>) | undefined;
  readonly recordCertificate: (hostname: string, notAfter: Date | null) => Promise<void>;
}

/** Hostnames that one look takes: with a look each 30 s and one per hour, 12,000 of them are looked at in time. */
const HOSTNAMES_AT_ONCE = 100;

/** Connections to the ingress at the same time. */
const CONNECTIONS = 10;

/** Creates the activities that look at streamers and certificates. Each only overwrites what was observed before. */
export function createObserveCluster(deps: ObserveClusterDeps): ObserverActivities {
  return {
    observeStreamers: async () => {
      const seen = await deps.observeStreamers();
      await deps.recordStreamers(seen);
      return { asked: seen.length, silent: seen.filter(({ reachable }) => !reachable).length };
    },
    observeCertificates: async () => {
      const { readCertificate } = deps;
      if (!readCertificate) return { looked: 0 };
      const hostnames = [...(await deps.listHostnames(HOSTNAMES_AT_ONCE))];
      const looked = hostnames.length;
      const look = async (): Promise<void> => {
        for (let hostname = hostnames.shift(); hostname !== undefined; hostname = hostnames.shift()) {
          await deps.recordCertificate(hostname, await readCertificate(hostname));
        }
      };
      await Promise.all(Array.from({ length: CONNECTIONS }, look));
      return { looked };
    },
  };
}
