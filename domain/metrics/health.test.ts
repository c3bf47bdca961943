import { describe, expect, it } from 'vitest';
import { judgeHealth } from './health.ts';

const WELL = { isDockerAnswering: true, isReading: true, sinceRoundMs: 5_000, intervalMs: 5_000 };

describe('a streamer', () => {
  it('is well when idle, and when what it stores or whom it serves is late', () => {
    expect(judgeHealth(WELL)).toEqual({ problems: [], notices: [] });
    const late = judgeHealth({
      ...WELL,
      spoolAgeSeconds: 3_600,
      slowSubscribers: 3,
      lagMs: 5_000,
      isBreakerOpen: true,
    });
    expect(late.problems).toEqual([]);
    expect(late.notices).toHaveLength(4);
  });

  it('is not when docker is away, when nothing can be read, and when it is stuck', () => {
    expect(judgeHealth({ ...WELL, isDockerAnswering: false }).problems).toEqual(['docker does not answer']);
    expect(judgeHealth({ ...WELL, isReading: false }).problems).toEqual(['no container could be read']);
    expect(judgeHealth({ ...WELL, sinceRoundMs: 59_000 }).problems).toEqual([]);
    expect(judgeHealth({ ...WELL, sinceRoundMs: 61_000 }).problems).toEqual(['no round has ended for 61 s']);
  });
});
