import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { followInterfaces, type NetworkHistory } from './interfaces.ts';
import type { InterfaceCounts } from './reading.ts';

function counts(value: number): InterfaceCounts {
  return { receiveBytes: value, receivePackets: value, transmitBytes: value, transmitPackets: value };
}

const change = fc.record({
  name: fc.constantFrom('eth0', 'eth1', 'tun0'),
  what: fc.constantFrom('grow' as const, 'leave' as const, 'replace' as const),
  by: fc.integer({ min: 1, max: 1_000 }),
  source: fc.constantFrom('cgroup' as const, 'docker' as const),
});

describe('the network counters of a run', () => {
  it('keep what interfaces had counted that have gone or were replaced', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
        const shown = new Map<string, number>();
        let [history, total]: [NetworkHistory | undefined, number] = [undefined, 0];
        for (const { name, what, by } of changes) {
          const before = shown.get(name) ?? 0;
          // One that takes the place of another is told from it by showing less.
          const value = what === 'replace' ? Math.min(by, Math.max(0, before - 1)) : before + by;
          if (what === 'leave') shown.delete(name);
          else shown.set(name, value);
          if (what === 'grow') total += by;
          if (what === 'replace') total += value;
          const interfaces = Object.fromEntries([...shown].map(([known, count]) => [known, counts(count)]));
          const next = followInterfaces(history, { interfaces, source: 'cgroup' });
          history = next.history;
          expect(next.counters.networkReceiveBytes).toBe(total);
          expect(next.counters.networkTransmitPackets).toBe(total);
        }
      }),
    );
  });

  it('lose and double nothing when another way, which does not see all interfaces, is taken for a while', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
        const shown = new Map<string, number>();
        let [history, total]: [NetworkHistory | undefined, number] = [undefined, 0];
        const read = (source: 'cgroup' | 'docker') => {
          const seen = [...shown].filter(([name]) => source === 'cgroup' || name !== 'tun0');
          const interfaces = Object.fromEntries(seen.map(([name, count]) => [name, counts(count)]));
          const next = followInterfaces(history, { interfaces, source });
          history = next.history;
          return next.counters.networkReceiveBytes;
        };
        for (const { name, by, source } of changes) {
          shown.set(name, (shown.get(name) ?? 0) + by);
          total += by;
          expect(read(source)).toBeLessThanOrEqual(total);
        }
        expect(read('cgroup')).toBe(total);
      }),
    );
  });
});
