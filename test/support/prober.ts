import { Agent, request } from 'node:http';

/** One request and how it ended: a status, or an error's code. */
export interface Probe {
  readonly atMs: number;
  readonly outcome: number | string;
  readonly body: string;
}

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
    stop: async (): Promise<{ total: number; failed: Probe[] }> => {
      clearInterval(timer);
      await Promise.all(flying);
      kept.destroy();
      return { total: probes.length, failed: probes.filter(({ outcome }) => outcome !== 200) };
    },
  };
}

async function probeOnce(to: { port: number; host: string; agent: Agent | false }): Promise<Probe> {
  const atMs = performance.now();
  return await new Promise((resolve) => {
    const headers = { host: `${to.host}:${to.port}` };
    const options = { host: '127.0.0.1', port: to.port, agent: to.agent, headers, timeout: 15_000 };
    const asked = request(options, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('end', () => resolve({ atMs, outcome: response.statusCode ?? 0, body }));
      response.on('error', (error) => resolve({ atMs, outcome: error.message, body }));
    });
    asked.on('timeout', () => asked.destroy(new Error('timeout')));
    asked.on('error', (error: NodeJS.ErrnoException) =>
      resolve({ atMs, outcome: error.code ?? error.message, body: '' }),
    );
    asked.end();
  });
}
