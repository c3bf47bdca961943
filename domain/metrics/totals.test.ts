import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ReplicaUse, totalsOf } from './totals.ts';

function aUse(changes: Partial<ReplicaUse> = {}): ReplicaUse {
  const replicaId = changes.replicaId ?? 'r1-0';
  return {
    replicaId,
    containerId: `of ${replicaId}`,
    atMs: 10_000,
    startedAtMs: 0,
    cpuPercent: 10,
    memoryBytes: 100,
    memoryLimitBytes: 1_000,
    pids: 1,
    networkReceiveBytes: 0,
    networkTransmitBytes: 0,
    diskReadBytes: 0,
    diskWriteBytes: 0,
    ...changes,
  };
}

const readBefore = (uses: readonly ReplicaUse[]) => new Map(uses.map((use) => [use.containerId, use]));

describe('totals over replicas', () => {
  it('are the sums of what each replica shows, in whatever order and however often it was read', () => {
    const use = fc.record({ cpuPercent: fc.nat(400), memoryBytes: fc.nat(1_000_000), received: fc.nat(1_000_000) });
    fc.assert(
      fc.property(fc.array(use, { minLength: 1, maxLength: 20 }), fc.nat(), (given, seed) => {
        const older = given.map((_, index) => aUse({ replicaId: `r1-${index}`, atMs: 5_000 }));
        const uses = given.map(({ received, ...rest }, index) =>
          aUse({ ...rest, replicaId: `r1-${index}`, networkReceiveBytes: received }),
        );
        const mixed = [...uses, ...older].sort((a, b) => (a.replicaId + seed < b.replicaId + seed ? 1 : -1));
        const totals = totalsOf(mixed, readBefore(older), []);
        expect(totals.replicas).toBe(given.length);
        expect(totals.cpuPercent).toBe(given.reduce((sum, { cpuPercent }) => sum + cpuPercent, 0));
        expect(totals.memoryBytes).toBe(given.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0));
        expect(totals.networkReceiveRate).toBeCloseTo(
          given.reduce((sum, { received }) => sum + received / 5, 0),
          3,
        );
      }),
    );
  });

  it('name a replica that ought to be there, and leave it out', () => {
    const totals = totalsOf([aUse()], new Map(), ['r1-0', 'r1-2', 'r1-1']);
    expect(totals).toMatchObject({ replicas: 1, missingReplicaIds: ['r1-1', 'r1-2'], memoryBytes: 100 });
  });

  it('have no rate while one replica has none: at its first reading, after a restart, and of another container', () => {
    const old = aUse({ atMs: 5_000 });
    expect(totalsOf([aUse({ cpuPercent: null })], new Map(), []).cpuPercent).toBeNull();
    expect(totalsOf([aUse()], readBefore([old]), []).diskReadRate).toBe(0);
    for (const changed of [{ startedAtMs: 7_000 }, { containerId: 'another' }, { atMs: 5_000 }]) {
      expect(totalsOf([aUse(changed)], readBefore([old]), []).diskReadRate).toBeNull();
    }
    const fresh = aUse({ replicaId: 'r1-1' });
    expect(totalsOf([aUse(), fresh], readBefore([old]), [])).toMatchObject({ replicas: 2, diskReadRate: null });
  });

  it('have no limit when one replica has none, and no rate when there is no replica', () => {
    const unlimited = aUse({ replicaId: 'r1-1', memoryLimitBytes: 0 });
    expect(totalsOf([aUse(), unlimited], new Map(), []).memoryLimitBytes).toBe(0);
    expect(totalsOf([aUse()], new Map(), []).memoryLimitBytes).toBe(1_000);
    expect(totalsOf([], new Map(), ['r1-0'])).toMatchObject({ replicas: 0, cpuPercent: null });
  });
});
