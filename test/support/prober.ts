import { Agent, request } from 'node:http';

/** One request and how it ended: a status, or an error's code. */
export interface Probe {
  /** When it was sent, milliseconds since the start of this process. */
  readonly atMs: number;
  /** Over a connection that others use before and after it, or over one of its own. */
  readonly connection: 'kept' | 'new';
  readonly outcome: number | string;
  readonly body: string;
}

/** Failed requests of which each was sent within a second of the one before. */
export interface Loss {
  /** Wall clock, RFC 3339, of the first and the last of them. */
  readonly from: string;
  readonly until: string;
  readonly requests: number;
  /** How many of them ended how, for example `{ "kept ECONNRESET": 2 }`. */
  readonly outcomes: Readonly<Record<string, number>>;
}

/** What a prober found. */
export interface ProbeReport {
  readonly total: number;
  readonly failed: readonly Probe[];
  readonly losses: readonly Loss[];
}

/** Failures further apart than this are two losses. */
const SAME_LOSS_MS = 1_000;

/**
 * Asks an application again and again through the ingress, half of the time on kept connections, half on new ones, and
 * remembers every answer. Bounded: at most `maxProbes` requests.
 */
export function startProber(options: { port: number; host: string; perSecond: number; maxProbes?: number }) {
  const { port, host, perSecond, maxProbes = 20_000 } = options;
  const kept = new Agent({ keepAlive: true, maxSockets: 20 });
  const probes: Probe[] = [];
  const flying = new Set<Promise<void>>();
  let asked = 0;
  const ask = (): void => {
    if (asked >= maxProbes) return;
    asked += 1;
    const agent = asked % 2 === 0 ? kept : false;
    const probe = probeOnce({ port, host, agent }).then((result) => {
      probes.push(result);
      flying.delete(probe);
    });
    flying.add(probe);
  };
  const timer = setInterval(ask, 1000 / perSecond);
  return {
    probes,
    stop: async (): Promise<ProbeReport> => {
      clearInterval(timer);
      await Promise.all(flying);
      kept.destroy();
      const failed = probes.filter(({ outcome }) => outcome !== 200);
      return { total: probes.length, failed, losses: toLosses(failed) };
    },
  };
}

/** Gathers failed requests into spans of time. */
export function toLosses(failed: readonly Probe[]): Loss[] {
  const spans: Probe[][] = [];
  for (const probe of failed.toSorted((one, other) => one.atMs - other.atMs)) {
    const span = spans.at(-1);
    if (span && probe.atMs - (span.at(-1)?.atMs ?? 0) <= SAME_LOSS_MS) span.push(probe);
    else spans.push([probe]);
  }
  return spans.map((span) => {
    const byOutcome = Map.groupBy(span, ({ connection, outcome }) => `${connection} ${outcome}`);
    return {
      from: toWallClock(span[0]),
      until: toWallClock(span.at(-1)),
      requests: span.length,
      outcomes: Object.fromEntries([...byOutcome].map(([outcome, { length }]) => [outcome, length])),
    };
  });
}

function toWallClock(probe: Probe | undefined): string {
  return new Date(performance.timeOrigin + (probe?.atMs ?? 0)).toISOString();
}

async function probeOnce(to: { port: number; host: string; agent: Agent | false }): Promise<Probe> {
  const sent = { atMs: performance.now(), connection: to.agent ? ('kept' as const) : ('new' as const) };
  return await new Promise((resolve) => {
    const headers = { host: `${to.host}:${to.port}` };
    const options = { host: '127.0.0.1', port: to.port, agent: to.agent, headers, timeout: 15_000 };
    const asked = request(options, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('end', () => resolve({ ...sent, outcome: response.statusCode ?? 0, body }));
      response.on('error', (error) => resolve({ ...sent, outcome: error.message, body }));
    });
    asked.on('timeout', () => asked.destroy(new Error('timeout')));
    asked.on('error', (error: NodeJS.ErrnoException) =>
      resolve({ ...sent, outcome: error.code ?? error.message, body: '' }),
    );
    asked.end();
  });
}
