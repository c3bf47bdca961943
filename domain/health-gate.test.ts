import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  afterProbe,
  type Gate,
  hasGivenUp,
  nextLookMs,
  openGate,
  type ProbeOutcome,
  passGate,
  settleMs,
} from './health-gate.ts';
import { DEFAULT_HEALTH_CHECK, type HealthCheck } from './spec.ts';

const failed: ProbeOutcome = { kind: 'failed', reason: 'connection refused' };
const unreachable: ProbeOutcome = { kind: 'unreachable', reason: 'its port is closed' };

const checks = fc.record({
  probe: fc.constant({ kind: 'automatic' } as const),
  intervalMs: fc.integer({ min: 100, max: 300_000 }),
  timeoutMs: fc.integer({ min: 100, max: 300_000 }),
  retries: fc.integer({ min: 1, max: 100 }),
  startPeriodMs: fc.integer({ min: 0, max: 3_600_000 }),
});

/** Fails every look, each taking `lookMs`, until the verdict; answers with when it fell and the delays on the way. */
function failUntilVerdict(check: HealthCheck, lookMs: number): { verdictMs: number; delays: number[] } {
  let gate: Gate = openGate(0);
  const delays: number[] = [];
  for (let nowMs = lookMs; ; ) {
    const verdict = passGate(gate, failed, check, nowMs);
    if (verdict.kind !== 'wait') return { verdictMs: nowMs, delays };
    gate = verdict.gate;
    delays.push(verdict.delayMs);
    nowMs += verdict.delayMs + lookMs;
  }
}

describe('the gate of a starting replica', () => {
  it('opens at the first success', () => {
    expect(passGate(openGate(0), { kind: 'passed' }, DEFAULT_HEALTH_CHECK, 1)).toEqual({ kind: 'healthy' });
  });

  it("takes Docker's own verdict as it is", () => {
    const verdict = passGate(openGate(0), { kind: 'final', reason: 'exit 1' }, DEFAULT_HEALTH_CHECK, 1);
    expect(verdict).toEqual({ kind: 'unhealthy', reason: 'exit 1' });
  });

  it('looks again after 50 ms at first', () => {
    expect(passGate(openGate(0), failed, DEFAULT_HEALTH_CHECK, 2)).toMatchObject({ kind: 'wait', delayMs: 50 });
  });

  it('stays closed in front of a replica that cannot be reached, for as long as for one that fails', () => {
    const check = { ...DEFAULT_HEALTH_CHECK, startPeriodMs: 0, retries: 2 };
    const first = passGate(openGate(0), unreachable, check, 1);
    if (first.kind !== 'wait') throw new Error(first.kind);
    expect(passGate(first.gate, unreachable, check, check.intervalMs + 1)).toEqual({
      kind: 'unhealthy',
      reason: 'its port is closed',
    });
  });

  it('never gives up while there is no answer', () => {
    fc.assert(
      fc.property(checks, fc.nat(), (check, nowMs) => {
        expect(passGate(openGate(0), { kind: 'pending' }, check, nowMs).kind).toBe('wait');
      }),
    );
  });

  it('gives every replica its start period and all its retries, and falls within the bound that workflows wait', () => {
    fc.assert(
      fc.property(checks, fc.double({ min: 0, max: 1, noNaN: true }), (check, part) => {
        const { verdictMs } = failUntilVerdict(check, Math.ceil(part * check.timeoutMs));
        expect(verdictMs).toBeGreaterThanOrEqual(check.startPeriodMs + (check.retries - 1) * check.intervalMs);
        const bound = check.startPeriodMs + check.retries * (2 * check.intervalMs + check.timeoutMs);
        expect(verdictMs).toBeLessThanOrEqual(bound);
      }),
      { numRuns: 50 },
    );
  });

  it('looks no later than a tenth of the time waited, nor than the interval, and never sooner than 50 ms', () => {
    const { delays } = failUntilVerdict(DEFAULT_HEALTH_CHECK, 1);
    expect(Math.min(...delays)).toBe(50);
    expect(Math.max(...delays)).toBeLessThanOrEqual(DEFAULT_HEALTH_CHECK.intervalMs);
  });
});

describe('the health of a running replica', () => {
  const healthy = { healthy: true, failures: 0 };

  it('turns after as many failures in a row as the check allows, and not before', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), (retries) => {
        let health = healthy;
        for (let look = 1; look < retries; look += 1) {
          health = afterProbe(health, failed, retries);
          expect(health.healthy).toBe(true);
        }
        expect(afterProbe(health, failed, retries).healthy).toBe(false);
      }),
    );
  });

  it('comes back at the first success', () => {
    expect(afterProbe({ healthy: false, failures: 7 }, { kind: 'passed' }, 3)).toEqual(healthy);
  });

  it('stays as it is without an answer', () => {
    expect(afterProbe({ healthy: false, failures: 2 }, { kind: 'pending' }, 3)).toEqual({
      healthy: false,
      failures: 2,
    });
  });

  it('turns when it cannot be reached twice in a row, half a second apart, however many failures are allowed', () => {
    const once = afterProbe(healthy, unreachable, 100);
    expect(once.healthy).toBe(true);
    expect(nextLookMs(once, unreachable, DEFAULT_HEALTH_CHECK)).toBe(500);
    const twice = afterProbe(once, unreachable, 100);
    expect(twice.healthy).toBe(false);
    expect(nextLookMs(twice, unreachable, DEFAULT_HEALTH_CHECK)).toBe(1_000);
    expect(afterProbe(healthy, unreachable, 1).healthy).toBe(false);
  });

  it('is looked at no less often than its check says, whatever was found', () => {
    fc.assert(
      fc.property(
        checks,
        fc.integer({ min: 1, max: 10_000 }),
        fc.constantFrom(failed, unreachable),
        (check, failures, outcome) => {
          const delayMs = nextLookMs({ healthy: false, failures }, outcome, check);
          expect(delayMs).toBeLessThanOrEqual(check.intervalMs);
          if (outcome.kind === 'failed') expect(delayMs).toBe(check.intervalMs);
          else expect(delayMs).toBeLessThanOrEqual(60_000);
        },
      ),
    );
  });

  it('does not call an unhealthy replica healthy because of one more failure', () => {
    expect(afterProbe({ healthy: false, failures: 0 }, failed, 3).healthy).toBe(false);
  });
});

describe('a container that keeps exiting', () => {
  const rules = { retries: 3, restartsBefore: 0 } as const;

  it.each([
    ['runs', { status: 'running', restarts: 0 }, rules, false],
    ['was restarted less often than allowed', { status: 'restarting', restarts: 2 }, rules, false],
    ['was restarted as often as allowed', { status: 'restarting', restarts: 3 }, rules, true],
    ['was restarted as often and runs again', { status: 'running', restarts: 3 }, rules, false],
    ['was restarted before this start', { status: 'restarting', restarts: 9 }, { ...rules, restartsBefore: 8 }, false],
    ['may fail its check a hundred times', { status: 'restarting', restarts: 5 }, { ...rules, retries: 100 }, true],
    ['has exited for good', { status: 'exited', restarts: 0 }, rules, true],
  ] as const)('is judged when it %s', (_, container, given, expected) => {
    expect(hasGivenUp(container, given)).toBe(expected);
  });
});

it('lets a replica without a port settle for one interval, two seconds at most', () => {
  expect(settleMs({ ...DEFAULT_HEALTH_CHECK, intervalMs: 500 })).toBe(500);
  expect(settleMs(DEFAULT_HEALTH_CHECK)).toBe(2_000);
});
