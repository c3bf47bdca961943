import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DomainError } from '../domain/errors.ts';
import { type BuildReport, createBuildReporter } from './build-reporter.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const OF = { deploymentId: 'd', revision: 1, service: 'app', attempt: 1_000 };

/** A reporter whose control plane answers as `answer` says. */
function aReporter(answer: (report: BuildReport) => Promise<boolean> = async () => true) {
  const arrived: BuildReport[] = [];
  const problems: unknown[] = [];
  const reporter = createBuildReporter({
    of: OF,
    send: async (report) => {
      const accepted = await answer(report);
      arrived.push(report);
      return accepted;
    },
    mask: (text) => text.replaceAll('secret', '***'),
    onProblem: (error) => problems.push(error),
  });
  const printed = () => arrived.flatMap(({ lines }) => lines.map(({ text }) => text));
  return { reporter, arrived, printed, problems };
}

describe('the reporter of a build', () => {
  it('tells within a second what was printed, masked, and each phase', async () => {
    const { reporter, arrived, printed } = aReporter();
    reporter.enter('waiting');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(arrived).toMatchObject([{ ...OF, phase: 'waiting', firstNumber: 1, lines: [], complete: false }]);
    reporter.enter('building');
    reporter.print('one');
    reporter.print('a secret');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(printed()).toEqual(['one', 'a ***']);
    await vi.advanceTimersByTimeAsync(600_000);
    expect(arrived.length).toBeLessThanOrEqual(3);
    reporter.print('three');
    await reporter.close();
    expect(arrived.at(-1)).toMatchObject({ phase: 'building', firstNumber: 3, complete: true });
  });

  it('goes on where it was after an outage, without a line lost or sent in another order', async () => {
    let isAway = true;
    const { reporter, arrived, printed } = aReporter(async () => {
      if (isAway) throw new DomainError('NODE_UNAVAILABLE', 'the control plane does not answer');
      return true;
    });
    reporter.enter('building');
    for (let number = 1; number <= 5_000; number += 1) reporter.print(`line ${number}`);
    await vi.advanceTimersByTimeAsync(120_000);
    expect(arrived).toEqual([]);
    isAway = false;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(printed()).toEqual(Array.from({ length: 5_000 }, (_, index) => `line ${index + 1}`));
  });

  it('drops the oldest lines of a long outage, and leaves a gap in the numbers', async () => {
    let isAway = true;
    const { reporter, arrived } = aReporter(async () => {
      if (isAway) throw new DomainError('NODE_UNAVAILABLE', 'the control plane does not answer');
      return true;
    });
    reporter.enter('building');
    await vi.advanceTimersByTimeAsync(1_000);
    for (let number = 1; number <= 250_000; number += 1) reporter.print('x');
    isAway = false;
    const closed = reporter.close();
    await vi.advanceTimersByTimeAsync(60_000);
    await closed;
    expect(arrived[1]?.firstNumber).toBe(150_001);
    const last = arrived.at(-1);
    expect((last?.firstNumber ?? 0) + (last?.lines.length ?? 0) - 1).toBe(250_000);
  });

  it('lets nobody wait for a control plane that is away: not the build, and its end for 2 s only', async () => {
    const { reporter, problems } = aReporter(() => new Promise(() => undefined));
    reporter.enter('building');
    for (let number = 1; number <= 300_000; number += 1) reporter.print('x'.repeat(100));
    const closed = reporter.close();
    await vi.advanceTimersByTimeAsync(2_000);
    await closed;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(problems).toEqual([]);
  });

  it('stops for good when a later attempt has begun, or the build is not its own any more', async () => {
    const outdated = aReporter(async () => false);
    const foreign = aReporter(async () => {
      throw new DomainError('NOT_FOUND', 'build not found');
    });
    for (const { reporter, problems } of [outdated, foreign]) {
      reporter.enter('building');
      reporter.print('one');
      await vi.advanceTimersByTimeAsync(1_000);
      expect(problems).toHaveLength(1);
      reporter.print('two');
      await reporter.close();
    }
    expect(outdated.printed()).toEqual(['one']);
    expect(foreign.printed()).toEqual([]);
  });
});
