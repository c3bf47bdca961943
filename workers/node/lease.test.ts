import { describe, expect, it } from 'vitest';
import { createNodeLease } from './lease.ts';

describe('the lease as a process has it', () => {
  it('goes on as it was when it had ended and is taken anew, and ends work only when another one has it', async () => {
    let now = 0;
    const lease = createNodeLease(() => now);
    const { signal } = new AbortController();
    const begun = lease.tenure(signal);
    expect(lease.isHeld()).toBe(false);
    lease.granted({ epoch: 1, sentAtMs: 0, leaseMs: 15_000 });
    const tenure = await begun;
    now = 10_000;
    expect(() => lease.require()).toThrow(expect.objectContaining({ code: 'NODE_LEASE_LOST' }));
    lease.ended();
    lease.granted({ epoch: 1, sentAtMs: now, leaseMs: 15_000 });
    expect([lease.isHeld(), tenure.aborted]).toEqual([false, false]);
    lease.granted({ epoch: 2, sentAtMs: now, leaseMs: 15_000 });
    expect([lease.isHeld(), lease.epoch(), tenure.aborted]).toEqual([true, 2, false]);
    lease.refused();
    expect([lease.isHeld(), tenure.aborted]).toEqual([false, true]);
    const next = lease.tenure(signal);
    lease.granted({ epoch: 3, sentAtMs: now, leaseMs: 15_000 });
    expect((await next).aborted).toBe(false);
  });

  it('tells when it is held and when it is not any more, and not of its renewals', () => {
    let now = 0;
    const lease = createNodeLease(() => now);
    const told: boolean[] = [];
    lease.onChange(() => told.push(lease.isHeld()));
    for (; now < 12_000; now += 3_000) lease.granted({ epoch: 1, sentAtMs: now, leaseMs: 15_000 });
    expect(told).toEqual([true]);
    lease.ended();
    lease.refused();
    expect(told).toEqual([true, false]);
    lease.granted({ epoch: 2, sentAtMs: now, leaseMs: 15_000 });
    expect(told).toEqual([true, false, true]);
  });

  it('tells of its lapse, which nothing else announces', async () => {
    const start = performance.now();
    const lease = createNodeLease(() => performance.now() - start);
    lease.granted({ epoch: 1, sentAtMs: 0, leaseMs: 5_050 });
    expect(lease.isHeld()).toBe(true);
    await new Promise<void>((resolve) => lease.onChange(resolve));
    expect(lease.isHeld()).toBe(false);
  });

  it('is not waited for by who is told to end', async () => {
    const stop = new AbortController();
    const waiting = createNodeLease().tenure(stop.signal);
    stop.abort(new Error('it ends'));
    await expect(waiting).rejects.toThrow('it ends');
  });
});
