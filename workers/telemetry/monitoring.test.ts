import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { createApiTelemetry } from '../../api/telemetry.ts';
import { NOTHING_OBSERVED, OPERATOR_KEYS } from '../../domain/metrics/observability.ts';
import { STORAGE_AT_REST } from '../../domain/metrics/storage-state.ts';
import { openMetricsServer } from './metrics-server.ts';
import { createNodeTelemetry } from './node-telemetry.ts';
import { createOrchestratorTelemetry } from './orchestrator-telemetry.ts';
import { createStreamerTelemetry } from './streamer-telemetry.ts';

const FOLDER = join(import.meta.dirname, '../../deploy/monitoring');
const HEALTHY = { ...NOTHING_OBSERVED, storage: { ...STORAGE_AT_REST, spoolAgeSeconds: 12, rowsDropped: 0 } };

/** What each role says, read as Prometheus reads it. */
async function textsOfRoles(): Promise<string[]> {
  const api = createApiTelemetry(async () => ({
    ...{ firing: { warning: 1, critical: 0 }, notifications: { waiting: 0, failed: 2 } },
  }));
  return await Promise.all([
    api.render(),
    createOrchestratorTelemetry().registry.metrics(),
    createNodeTelemetry('1.2.3').metrics(),
    createStreamerTelemetry(() => HEALTHY).metrics(),
  ]);
}

/** Names of metrics by what roles declare; of a histogram its three series. `up` is Prometheus' own. */
async function exportedNames(): Promise<Set<string>> {
  const names = new Set(['up']);
  for (const text of await textsOfRoles()) {
    for (const [, name = '', type] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
      for (const suffix of type === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']) names.add(`${name}${suffix}`);
    }
  }
  return names;
}

/** Words of an expression that are no labels, functions or durations: names of metrics. */
function namesIn(expression: string): string[] {
  const bare = expression
    .replace(/\{[^}]*\}/g, '')
    .replace(/\[[^\]]*\]/g, '')
    .replace(/\b(?:by|without|on|ignoring)\s*\([^)]*\)/g, '');
  return [...bare.matchAll(/\b[a-z_][a-z0-9_]*\b(?!\s*\()/g)].map(([name]) => name).filter((name) => !WORDS.has(name));
}

const WORDS = new Set(['and', 'or', 'unless', 'by', 'without', 'sum', 'max', 'min', 'avg', 'count']);

interface Rules {
  readonly groups: readonly {
    readonly rules: readonly {
      readonly alert: string;
      readonly expr: string;
      readonly annotations: { summary: string };
    }[];
  }[];
}

interface Dashboard {
  readonly panels: readonly { readonly id: number; readonly targets: readonly { readonly expr: string }[] }[];
}

function expressions(): Map<string, string> {
  const rules = parse(readFileSync(join(FOLDER, 'alerts.yml'), 'utf8')) as Rules;
  const dashboard = JSON.parse(readFileSync(join(FOLDER, 'grafana/obiente-cloud.json'), 'utf8')) as Dashboard;
  return new Map([
    ...rules.groups.flatMap((group) => group.rules.map(({ alert, expr }) => [alert, expr] as const)),
    ...dashboard.panels.flatMap(({ id, targets }) =>
      targets.map(({ expr }, index) => [`panel ${id}, target ${index}`, expr] as const),
    ),
  ]);
}

describe('what is shipped for Prometheus and Grafana', () => {
  it('uses only names that a role exports', async () => {
    const exported = await exportedNames();
    const unknown = [...expressions()].flatMap(([where, expression]) =>
      namesIn(expression)
        .filter((name) => !exported.has(name))
        .map((name) => `${where}: ${name}`),
    );
    expect(unknown).toEqual([]);
    expect([...expressions().values()].flatMap(namesIn).length).toBeGreaterThan(30);
  });

  it('can fail: a name that nobody exports is found', () => {
    expect(namesIn('sum by (le) (rate(obiente_made_up_total{code="ok"}[5m])) > 0.5')).toEqual([
      'obiente_made_up_total',
    ]);
  });

  it('shows every counter of this platform somewhere', async () => {
    const used = new Set([...expressions().values()].flatMap(namesIn));
    const own = [...(await exportedNames())].filter((name) => /^obiente_(?!.*_(sum|count)$)/.test(name));
    const unused = own.filter((name) => !used.has(name) && !name.startsWith('obiente_streamer_'));
    expect(unused).toEqual([]);
  });

  it('gives alerts names of their own', () => {
    const rules = parse(readFileSync(join(FOLDER, 'alerts.yml'), 'utf8')) as Rules;
    const names = rules.groups.flatMap((group) => group.rules.map(({ alert }) => alert));
    expect(new Set(names).size).toBe(names.length);
  });
});

describe('the streamer', () => {
  it('exports each of the 24 keys, and how long rows have waited', async () => {
    const text = await createStreamerTelemetry(() => ({
      ...{ ...HEALTHY, healthy: true, last_collection_time: '2026-01-01T00:00:00.000Z', active_subscribers: 3 },
    })).metrics();
    const own = [...text.matchAll(/^# TYPE (obiente_streamer_\S+)/gm)].map(([, name]) => name);
    expect(own).toHaveLength(OPERATOR_KEYS.length + 1);
    expect(text).toContain('obiente_streamer_healthy 1');
    expect(text).toContain('obiente_streamer_subscribers 3');
    expect(text).toContain('obiente_streamer_spool_age_seconds 12');
    expect(text).toContain(`obiente_streamer_last_collection_timestamp_seconds ${Date.parse('2026-01-01') / 1_000}`);
  });
});

describe('the server of a role’s counters', () => {
  it('answers with them at /metrics, and with nothing elsewhere', async () => {
    const { registry } = createOrchestratorTelemetry();
    const server = await openMetricsServer({ host: '127.0.0.1', port: 0, registry });
    try {
      const answer = await fetch(`http://127.0.0.1:${server.port}/metrics`);
      expect(answer.headers.get('content-type')).toContain('text/plain');
      expect(await answer.text()).toContain('obiente_alert_evaluations_total 0');
      expect((await fetch(`http://127.0.0.1:${server.port}/`)).status).toBe(404);
      expect((await fetch(`http://127.0.0.1:${server.port}/metrics`, { method: 'POST' })).status).toBe(404);
    } finally {
      await server.close();
    }
  });
});
