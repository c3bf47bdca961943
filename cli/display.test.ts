import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { describe, expect, it } from 'vitest';
import { type ContainerSample, ContainerSampleSchema } from '../gen/obiente/cloud/v1/metrics_pb.ts';
import { defaultName } from './find-source.ts';
import { metricsLine, metricsTable, remember, type SampleHistory } from './metrics-view.ts';
import { sparkline } from './sparkline.ts';
import { table } from './table.ts';
import { createTerminal } from './terminal.ts';

const NOW = 1_800_000_000_000;

function terminalOf(isTTY: boolean, env: Record<string, string> = {}) {
  return createTerminal({ stdout: { write: () => true, isTTY }, stderr: { write: () => true }, env, isJson: false });
}

function aSample(values: { replicaId?: string; ageMs?: number; cpuPercent?: number } = {}): ContainerSample {
  const { replicaId = 'r1-0', ageMs = 0, cpuPercent = 50 } = values;
  return create(ContainerSampleSchema, {
    at: timestampFromMs(NOW - ageMs),
    replicaId,
    cpuPercent,
    memoryBytes: 12_900_000n,
    memoryLimitBytes: 33_554_432n,
    pids: 3,
  });
}

describe('sparkline', () => {
  it('begins its scale at zero and keeps the newest values', () => {
    expect(sparkline([0, 50, 100], { width: 10, ceiling: 100 })).toBe('▁▅█');
    expect(sparkline([9, 9, 0, 1], { width: 2, ceiling: 100 })).toBe('▁▁');
    expect(sparkline([], { width: 5, ceiling: 0 })).toBe('');
    expect(sparkline([Number.NaN, -1, 500], { width: 5, ceiling: 100 })).toBe('▁▁█');
  });
});

describe('table', () => {
  it('lines columns up, numbers to the right, and makes cells harmless', () => {
    const rows = [
      { name: 'api\x1b]0;x\x07', count: 5 },
      { name: 'a-longer-one', count: 12 },
    ];
    const columns = [
      { heading: 'NAME', cell: (row: (typeof rows)[number]) => row.name },
      { heading: 'COUNT', cell: (row: (typeof rows)[number]) => String(row.count), isNumber: true },
    ];
    expect(table(terminalOf(false), columns, rows).split('\n')).toEqual([
      'NAME          COUNT',
      'api               5',
      'a-longer-one     12',
    ]);
  });
});

describe('colours', () => {
  it('are for terminals whose user did not refuse them', () => {
    const levels = [
      terminalOf(true),
      terminalOf(false),
      terminalOf(true, { NO_COLOR: '1' }),
      terminalOf(true, { TERM: 'dumb' }),
    ];
    expect(levels.map(({ paint }) => paint.level)).toEqual([1, 0, 0, 0]);
  });
});

describe('the live view of metrics', () => {
  it('keeps five minutes a replica and forgets replicas that are gone', () => {
    const history: SampleHistory = new Map();
    remember(history, [aSample({ replicaId: 'r1-0', ageMs: 61_000 })], NOW - 61_000);
    for (let index = 0; index < 100; index += 1) remember(history, [aSample({ replicaId: 'r2-0' })], NOW);
    expect([...history.keys()]).toEqual(['r2-0']);
    expect(history.get('r2-0')).toHaveLength(60);
  });

  it('shows a row a replica, r2-10 behind r2-9', () => {
    const history: SampleHistory = new Map();
    remember(history, [aSample({ replicaId: 'r2-10' }), aSample({ replicaId: 'r2-9', cpuPercent: 12.34 })], NOW);
    const [, first, second] = metricsTable(terminalOf(false), history).split('\n');
    expect(first).toMatch(/^r2-9 +12\.3 %/);
    expect(second).toMatch(/^r2-10 +50\.0 %.*12\.3 MiB \/ 32\.0 MiB/);
  });

  it('writes a sample as one line', () => {
    expect(metricsLine(aSample())).toBe(
      '2027-01-15T08:00:00.000Z  r1-0  cpu 50.0 %  memory 12.3 MiB / 32.0 MiB  net 0 B / 0 B  disk 0 B / 0 B  pids 3',
    );
  });
});

describe('the name of a deployment for which none is given', () => {
  it.each([
    ['hello', 'hello'],
    ['My App_2', 'my-app-2'],
    ['ghcr.io/acme/api@sha256:abc', 'api'],
    ['localhost:5000/web:1.2', 'web'],
    ['9lives', 'lives'],
    [`${'a'.repeat(62)}-bc`, 'a'.repeat(62)],
  ])('is made of %s as %s', (text, name) => {
    expect(defaultName(text)).toBe(name);
  });

  it.each(['.', '123', 'x', '日本'])('cannot be made of %j', (text) => {
    expect(() => defaultName(text)).toThrow('makes no name');
  });
});
