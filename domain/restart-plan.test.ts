import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aContainer } from '../test/support/containers.ts';
import { NODE_LABEL, type ObservedContainer } from './container.ts';
import { planRestarts, type RestartPlan, restartPolicyOf } from './restart-plan.ts';
import { observeRestarts, type RestartRecord } from './restart-record.ts';
import type { RestartRules } from './restart-rule.ts';
import type { RestartPolicy } from './spec.ts';

const RULES: RestartRules = { firstDelayMs: 1_000, longestDelayMs: 8_000, stableMs: 60_000, leftToDaemon: 3 };
const BEGIN = Date.parse('2026-01-01T00:00:00Z');

function plan(
  changes: Partial<ObservedContainer>,
  remembered: Partial<RestartRecord> = {},
  { policy = 'always' as RestartPolicy, atMs = 0 } = {},
): RestartPlan {
  const container = aContainer('a', changes);
  const record = { ...observeRestarts(undefined, container, BEGIN + atMs, RULES), ...remembered };
  return planRestarts({ container, record, policy }, BEGIN + atMs, RULES);
}

const EXITED = { status: 'exited', finishedAt: '2026-01-01T00:00:00Z', exitCode: 3 } as const;
const HELD = { daemonPolicy: 'never' } as const;

describe('a container that runs', () => {
  it('asks for nothing as long as it never exited', () => {
    expect(plan({})).toEqual({ daemonPolicy: 'always', start: false, lookInMs: null, nextRestartAtMs: null });
  });

  it('is left to its daemon for the first restarts, and held back from the third on', () => {
    const policies = [0, 1, 2, 3, 4].map((streak) => plan({}, { streak }).daemonPolicy);
    expect(policies).toEqual(['always', 'always', 'always', 'never', 'never']);
  });

  it('stays held back until the streak is over, and goes back to its daemon then', () => {
    expect(plan(HELD, { streak: 1 }, { atMs: 20_000 })).toMatchObject({ daemonPolicy: 'never', lookInMs: 40_000 });
    expect(plan(HELD, { streak: 0 })).toMatchObject({ daemonPolicy: 'always', lookInMs: null });
  });
});

describe('a container that has exited', () => {
  it('is started once its pause is over', () => {
    const early = plan(EXITED, { streak: 2 }, { atMs: 500 });
    expect(early.start).toBe(false);
    expect(early.lookInMs).toBeGreaterThan(2_600);
    expect(early.nextRestartAtMs).toBe(BEGIN + 500 + (early.lookInMs ?? 0));
    expect(plan(EXITED, { streak: 2 }, { atMs: 4_000 })).toMatchObject({ start: true, lookInMs: null });
  });

  it('waits anew after a try that failed', () => {
    const failedTryAtMs = BEGIN + 4_000;
    expect(plan(EXITED, { streak: 3, failedTryAtMs }, { atMs: 4_100 })).toMatchObject({ start: false });
    expect(plan(EXITED, { streak: 3, failedTryAtMs }, { atMs: 12_000 })).toMatchObject({ start: true });
  });

  it.each<[string, Partial<ObservedContainer>, RestartPolicy]>([
    ['never', EXITED, 'never'],
    ['on-failure and it was none', { ...EXITED, exitCode: 0 }, 'on-failure'],
    ['always and it is being removed', { status: 'removing', finishedAt: EXITED.finishedAt }, 'always'],
    ['always and it has never been started', { status: 'created', startedAt: null }, 'always'],
  ])('is left as it is when its policy is %s', (_, container, policy) => {
    expect(plan(container, {}, { policy, atMs: 60_000 })).toMatchObject({ start: false, nextRestartAtMs: null });
  });

  it('comes back at once when its daemon is about to restart it', () => {
    const restarting = { ...EXITED, status: 'restarting', restarts: 1 } as const;
    expect(plan(restarting)).toMatchObject({ start: false, nextRestartAtMs: BEGIN, daemonPolicy: 'always' });
    expect(plan(restarting, { streak: 3 })).toMatchObject({ start: false, daemonPolicy: 'never' });
  });
});

it('never starts what runs, and never leaves a held container without anybody who comes back to it', () => {
  const containers = fc.record({
    status: fc.constantFrom('running', 'exited', 'restarting', 'paused', 'created', 'dead', 'removing' as const),
    exitCode: fc.integer({ min: 0, max: 255 }),
    finishedAt: fc.constant('2026-01-01T00:00:10Z'),
    daemonPolicy: fc.constantFrom<RestartPolicy>('always', 'never'),
  });
  fc.assert(
    fc.property(containers, fc.nat(100), fc.nat(100_000), (container, streak, atMs) => {
      const planned = plan(container, { streak }, { atMs });
      if (planned.start) expect(container.status).toBe('exited');
      const waits = container.status === 'running' || container.status === 'exited';
      if (waits && planned.daemonPolicy === 'never') expect(planned.start || planned.lookInMs !== null).toBe(true);
      expect(planned.lookInMs ?? 1).toBeGreaterThan(0);
    }),
  );
});

it('reads the wanted policy from the label only', () => {
  expect(restartPolicyOf(aContainer('a', { labels: { [NODE_LABEL.restart]: 'on-failure' } }))).toBe('on-failure');
  expect(restartPolicyOf(aContainer('a', { labels: { [NODE_LABEL.restart]: 'sometimes' } }))).toBeUndefined();
  expect(restartPolicyOf(aContainer('a', { labels: {} }))).toBeUndefined();
});
