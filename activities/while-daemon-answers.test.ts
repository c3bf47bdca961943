import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { aWatchedDaemon } from '../test/support/well-daemon.ts';
import { whileDaemonAnswers } from './while-daemon-answers.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Work that a test ends, and what became of it. */
function aStart() {
  const daemon = aWatchedDaemon();
  const end = Promise.withResolvers<string>();
  const seen: string[] = [];
  const answer = whileDaemonAnswers(daemon.watch, {
    work: (left) => {
      left.addEventListener('abort', () => seen.push('left'), { once: true });
      return end.promise;
    },
    undo: async () => {
      seen.push('undone');
    },
  });
  const outcome = answer.then(
    (value) => value,
    (error: { code: string; message: string }) => `${error.code}: ${error.message}`,
  );
  return { ...daemon, end, seen, outcome };
}

describe('work that needs a Docker daemon', () => {
  it('is done, and nobody is listened to any more', async () => {
    const { end, seen, outcome, listeners } = aStart();
    end.resolve('up');
    expect(await outcome).toBe('up');
    expect([seen, listeners.size]).toEqual([[], 0]);
  });

  it('is left behind once the daemon has been in trouble for a while, and undone when that lets it end', async () => {
    const { end, seen, outcome, become } = aStart();
    become('degraded');
    await vi.advanceTimersByTimeAsync(5_000);
    expect(await outcome).toBe('NODE_DEGRADED: left behind: docker does not answer');
    expect(seen).toEqual(['left']);
    end.resolve('up after all');
    await vi.advanceTimersByTimeAsync(0);
    expect(seen).toEqual(['left', 'undone']);
  });

  it('is left behind when one trouble follows another without a break', async () => {
    const { outcome, become } = aStart();
    become('degraded');
    await vi.advanceTimersByTimeAsync(3_000);
    become('degraded');
    await vi.advanceTimersByTimeAsync(2_000);
    expect(await outcome).toContain('NODE_DEGRADED');
  });

  it('goes on through a restart of the daemon', async () => {
    const { end, seen, outcome, become } = aStart();
    become('degraded');
    await vi.advanceTimersByTimeAsync(4_900);
    become('ready');
    await vi.advanceTimersByTimeAsync(60_000);
    end.resolve('up');
    expect(await outcome).toBe('up');
    expect(seen).toEqual([]);
  });

  it('fails of its own reason', async () => {
    const { end, seen, outcome } = aStart();
    end.reject(Object.assign(new Error('no such image'), { code: 'IMAGE_UNAVAILABLE' }));
    expect(await outcome).toBe('IMAGE_UNAVAILABLE: no such image');
    expect(seen).toEqual([]);
  });
});
