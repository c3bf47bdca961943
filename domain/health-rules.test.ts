import { describe, expect, it } from 'vitest';
import { parseHealthLabel, toHealthLabel } from './health-rules.ts';
import { DEFAULT_HEALTH_CHECK } from './spec.ts';

describe('the health label of a container', () => {
  it.each([
    ['automatic', { kind: 'automatic' }],
    ['http', { kind: 'http', path: '/live', expectedStatus: 204 }],
    ['none', { kind: 'none' }],
  ] as const)('gives back what was written: %s', (_, probe) => {
    const rules = { check: { ...DEFAULT_HEALTH_CHECK, probe }, port: 8080 };
    expect(parseHealthLabel(toHealthLabel(rules))).toEqual(rules);
  });

  it('does not hold the words of a command', () => {
    const probe = { kind: 'command', command: ['check', '--password=hunter22'] } as const;
    expect(toHealthLabel({ check: { ...DEFAULT_HEALTH_CHECK, probe }, port: null })).not.toContain('hunter22');
  });

  it.each([undefined, '', '{', 'null', '[]', '{"check":{},"port":1}', '{"check":null,"port":null}', '7'])(
    'is not read when it is %s',
    (label) => {
      expect(parseHealthLabel(label)).toBeUndefined();
    },
  );

  it('is not read when its times are no times, or its path no path', () => {
    const bad = [{ intervalMs: 0 }, { retries: 'x' }, { probe: { kind: 'http', path: 'x' } }, { probe: { kind: 'y' } }];
    for (const change of bad) {
      const label = JSON.stringify({ check: { ...DEFAULT_HEALTH_CHECK, ...change }, port: null });
      expect(parseHealthLabel(label)).toBeUndefined();
    }
  });
});
