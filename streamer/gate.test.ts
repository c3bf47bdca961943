import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { DomainError } from '../domain/errors.ts';
import { createClosingProbe, createDockerGate } from './gate.ts';

const RULES = { failureThreshold: 5, cooldownMs: 60_000, halfOpenSuccesses: 3 };

function open(maxRetries = 0) {
  const clock = { monotonic: vi.fn(() => 0) };
  const retry = { maxRetries, initialPauseMs: 1, maxPauseMs: 2 };
  const gate = createDockerGate({ breaker: RULES, retry, clock, random: () => 0.5 });
  const fails = async (code: DomainError['code'] = 'DOCKER_UNAVAILABLE'): Promise<void> => {
    await gate
      .pass(() => Promise.reject(new DomainError(code, 'no')))
      .catch((error: unknown) => {
        if (!(error instanceof DomainError)) throw error;
      });
  };
  const trip = async (): Promise<void> => {
    for (let index = 0; index < RULES.failureThreshold; index += 1) await fails();
    expect(gate.current().kind).toBe('open');
  };
  return { clock, gate, fails, trip };
}

/** Calls that are under way until they are told to end. */
function calls() {
  const running: PromiseWithResolvers<string>[] = [];
  const call = (): Promise<string> => {
    const one = Promise.withResolvers<string>();
    running.push(one);
    return one.promise;
  };
  return { running, call };
}

describe('the gate before a daemon', () => {
  it('refuses at once while it is open, without calling', async () => {
    const { gate, trip } = open();
    await trip();
    const call = vi.fn();
    await expect(gate.pass(call)).rejects.toMatchObject({ code: 'DOCKER_UNAVAILABLE' });
    expect(call).not.toHaveBeenCalled();
  });

  it.each(['NOT_FOUND', 'REPLICA_CONFLICT', 'INVALID_ARGUMENT'] as const)(
    'stays closed over a hundred answers of %s, as a tenant who removes his own containers gets them',
    async (code) => {
      const { gate, fails } = open();
      for (let index = 0; index < 100; index += 1) await fails(code);
      expect(gate.current()).toEqual({ kind: 'closed', failures: 0 });
    },
  );

  it('lets one of fifty callers through when it is half open, and three after each other close it', async () => {
    const { gate, clock, trip } = open();
    await trip();
    clock.monotonic.mockReturnValue(60_000);
    const { running, call } = calls();
    for (const round of [1, 2, 3]) {
      const asked = Array.from({ length: 50 }, () => gate.pass(call).catch(() => 'refused'));
      await Promise.resolve();
      expect(running).toHaveLength(round);
      running.at(-1)?.resolve('answer');
      expect((await Promise.all(asked)).filter((answer) => answer === 'answer')).toHaveLength(1);
    }
    expect(gate.current().kind).toBe('closed');
  });

  it('tries a call again that was not answered, a bounded number of times, and no refused one', async () => {
    const { gate } = open(3);
    const late = vi.fn().mockRejectedValueOnce(new DomainError('DOCKER_UNAVAILABLE', 'no')).mockResolvedValue('yes');
    expect(await gate.pass(late)).toBe('yes');
    const refused = vi.fn().mockRejectedValue(new DomainError('NOT_FOUND', 'no'));
    await expect(gate.pass(refused)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(refused).toHaveBeenCalledOnce();
    const away = vi.fn().mockRejectedValue(new DomainError('DOCKER_UNAVAILABLE', 'no'));
    await expect(gate.pass(away)).rejects.toMatchObject({ code: 'DOCKER_UNAVAILABLE' });
    expect(away).toHaveBeenCalledTimes(4);
  });

  it('stops trying when the breaker opens, and when it is told to', async () => {
    const { gate } = open(20);
    const away = vi.fn().mockRejectedValue(new DomainError('DOCKER_UNAVAILABLE', 'no'));
    await expect(gate.pass(away)).rejects.toThrow();
    expect(away).toHaveBeenCalledTimes(RULES.failureThreshold);
    expect(gate.current().kind).toBe('open');
    const other = open(20);
    const stop = new AbortController();
    const once = vi.fn(async () => {
      stop.abort();
      throw new DomainError('DOCKER_UNAVAILABLE', 'no');
    });
    await expect(other.gate.pass(once, stop.signal)).rejects.toThrow('no');
    expect(once).toHaveBeenCalledOnce();
  });

  it('takes no account of calls from before it opened', async () => {
    const { gate, clock, trip } = open();
    const { running, call } = calls();
    const old = [gate.pass(call), gate.pass(call)].map((one) => one.catch(() => undefined));
    await trip();
    clock.monotonic.mockReturnValue(60_000);
    const tried = gate.pass(call).catch(() => undefined);
    running[0]?.resolve('late');
    running[1]?.reject(new DomainError('DOCKER_UNAVAILABLE', 'late'));
    await Promise.all(old);
    expect(gate.current()).toMatchObject({ kind: 'half-open', successes: 0, tryStartedMs: 60_000 });
    running[2]?.resolve('answer');
    await tried;
    expect(gate.current()).toMatchObject({ kind: 'half-open', successes: 1 });
  });

  it('never has more than one call under way while it is half open, whatever happens when', async () => {
    const event = fc.record({
      what: fc.constantFrom('call' as const, 'answer' as const, 'fail' as const, 'wait' as const),
      which: fc.nat(9),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 80 }), async (events) => {
        const { gate, clock } = open();
        const { running, call } = calls();
        const tries = new Map<PromiseWithResolvers<string>, number>();
        let now = 0;
        for (const { what, which } of events) {
          const [before, one] = [running.length, running[which]];
          if (what === 'wait') now += 30_000;
          clock.monotonic.mockReturnValue(now);
          if (what === 'call') gate.pass(call).catch(() => undefined);
          if (what === 'answer') one?.resolve('answer');
          if (what === 'fail') one?.reject(new DomainError('DOCKER_UNAVAILABLE', 'no'));
          if (one && (what === 'answer' || what === 'fail')) tries.delete(one);
          const begun = running[before];
          if (begun && gate.current().kind === 'half-open') tries.set(begun, now);
          for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
          // One that was not heard of for a whole cooldown is replaced.
          const underWay = [...tries.values()].filter((begunMs) => now - begunMs < RULES.cooldownMs);
          expect(underWay.length).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  it('is closed by a probe where nobody else calls, not before its cooldown, and not while the daemon is away', async () => {
    const { gate, clock, trip } = open();
    const ask = vi.fn(async () => ['id']);
    const probe = createClosingProbe(gate, ask);
    await probe();
    expect(ask).toHaveBeenCalledOnce();
    await trip();
    await probe();
    expect([gate.current().kind, ask.mock.calls.length]).toEqual(['open', 2]);
    clock.monotonic.mockReturnValue(60_000);
    ask.mockRejectedValueOnce(new DomainError('DOCKER_UNAVAILABLE', 'away'));
    await expect(probe()).rejects.toThrow('away');
    expect(gate.current().kind).toBe('open');
    await probe();
    expect(gate.current().kind).toBe('closed');
  });
});
