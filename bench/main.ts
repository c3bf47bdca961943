import { parseArgs } from 'node:util';
import type { Bench, Figure } from './figure.ts';

/** Every bench by name; loaded when it is run, so that listing costs nothing. */
const BENCHES: Record<string, { about: string; load: () => Promise<{ bench: Bench }> }> = {
  deploy: {
    about: 'API call to replica running, against bare Docker create + start + inspect',
    load: () => import('./deploy.ts'),
  },
  burst: {
    about: '32 deploys at once on one node, against a pool of bare Docker create + start + inspect',
    load: () => import('./burst.ts'),
  },
  redeploys: {
    about: '100 redeploys under 50 requests/s, of one image and of three services: failed requests (20 min)',
    load: () => import('./redeploys.ts'),
  },
  placement: {
    about: 'one placement of 100 replicas on 100 to 100,000 nodes by each strategy, against a sort and a scan',
    load: () => import('./placement.ts'),
  },
  'placement-cluster': {
    about: 'a cluster of 10,000 nodes and 100,000 replicas in memory: placements, and nodes that leave',
    load: () => import('./placement-cluster.ts'),
  },
  metrics: {
    about: 'time to two live samples; CPU and memory of a sample, against the counters of the kernel',
    load: () => import('./metrics.ts'),
  },
  'metrics-round': {
    about: 'one round of reading 20 containers, against reading their counter files',
    load: () => import('./metrics-round.ts'),
  },
  'metrics-collection': {
    about:
      'rounds of 10, 50 and 150 containers by files and by Docker, against bare ones; what a streamer costs (8 min)',
    load: () => import('./metrics-collection.ts'),
  },
  'metrics-docker-28': {
    about: 'the same rounds on Docker Engine 28, which is fetched (5 min)',
    load: () => import('./metrics-docker-28.ts'),
  },
  'metrics-fanout': {
    about: 'live metrics to 100 and 1,000 subscribers, against a bare Connect stream; and with one of them stalled',
    load: () => import('./metrics-fanout.ts'),
  },
  'metrics-ingest': {
    about: '10,000 rows by the streamer’s own path, against COPY text and COPY binary',
    load: () => import('./metrics-ingest.ts'),
  },
  start: {
    about: 'npm start to ready, on a new state folder and on one that a start has made',
    load: () => import('./start.ts'),
  },
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean', default: false } },
});
const [name] = positionals;

if (name === undefined) {
  for (const [known, { about }] of Object.entries(BENCHES)) process.stdout.write(`${known.padEnd(19)} ${about}\n`);
} else {
  process.exit(await runNamed(name));
}

async function runNamed(wanted: string): Promise<number> {
  const entry = BENCHES[wanted];
  if (!entry) {
    process.stderr.write(`no bench is called ${wanted}; there are: ${Object.keys(BENCHES).join(', ')}\n`);
    return 2;
  }
  const { bench } = await entry.load();
  const figures = await bench.run();
  process.stdout.write(values.json ? `${JSON.stringify({ bench: wanted, figures }, null, 2)}\n` : table(figures));
  return figures.every((figure) => figure.holds) ? 0 : 1;
}

function table(figures: readonly Figure[]): string {
  const rows = figures.map(({ name: figure, value, unit, floor, ratio, goal, holds }) => {
    const beside = floor === null ? '' : `floor ${floor.toFixed(1)} ${unit}, ratio ${(ratio ?? Number.NaN).toFixed(2)}`;
    const verdict = goal === null ? '' : `${holds ? 'holds' : 'MISSED'}: ${goal}`;
    return `${figure.padEnd(32)} ${value.toFixed(1).padStart(10)} ${unit.padEnd(6)} ${beside.padEnd(36)} ${verdict}`.trimEnd();
  });
  return `${rows.join('\n')}\n`;
}
