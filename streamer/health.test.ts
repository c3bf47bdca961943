import { describe, expect, it, vi } from 'vitest';
import { createHealthCheck } from './health.ts';

const DEAD = async (): Promise<never> => {
  throw new Error('cannot connect');
};

describe('the health check', () => {
  it('knows a dead daemon within two intervals, and a live one at once', async () => {
    vi.useFakeTimers();
    try {
      let probe: () => Promise<unknown> = async () => undefined;
      const [intervalMs, failureThreshold] = [30_000, 3];
      const health = createHealthCheck({
        ...{ probeDocker: () => probe(), isReading: () => true, failureThreshold, now: Date.now },
        againMs: intervalMs / failureThreshold,
      });
      const checks = setInterval(() => void health.check(), intervalMs);
      await vi.advanceTimersByTimeAsync(3 * intervalMs + 1);
      expect(health.current()).toMatchObject({ healthy: true, consecutiveFailures: 0 });
      // The worst moment to die is right after a check.
      probe = DEAD;
      await vi.advanceTimersByTimeAsync(2 * intervalMs);
      expect(health.current()).toMatchObject({ healthy: false, problems: ['docker does not answer'] });
      probe = async () => undefined;
      await vi.advanceTimersByTimeAsync(intervalMs);
      expect(health.current()).toMatchObject({ healthy: true, consecutiveFailures: 0, problems: [] });
      clearInterval(checks);
      health.stop();
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  it('asks a daemon that hangs once, however often it is checked', async () => {
    let asked = 0;
    const probeDocker = (): Promise<never> => {
      asked += 1;
      return new Promise(() => undefined);
    };
    const health = createHealthCheck({ probeDocker, isReading: () => true, failureThreshold: 3, now: Date.now });
    for (let i = 0; i < 5; i += 1) void health.check();
    expect(asked).toBe(1);
  });
});
