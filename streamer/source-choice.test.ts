import { describe, expect, it, vi } from 'vitest';
import type { Reading } from '../domain/metrics/reading.ts';
import { aReading } from '../test/support/samples.ts';
import type { ReadingSource } from './ports.ts';
import { createSourceChoice } from './source-choice.ts';

const CONTAINER = { id: 'a', pid: 1, startedAt: '2026-01-01T00:00:00Z', deploymentId: 'd', replicaId: 'r1-0' };
const signal = new AbortController().signal;

function aSource(name: Reading['source']) {
  const state = { opens: 0, isOpen: false, canOpen: true, fails: false, ended: false };
  const source: ReadingSource = {
    open: () => {
      if (!state.canOpen) return undefined;
      state.opens += 1;
      state.isOpen = true;
      return {
        read: () => {
          if (state.fails) throw new Error(`${name} fails`);
          return state.ended ? undefined : { ...aReading(), source: name };
        },
        close: () => {
          state.isOpen = false;
        },
      };
    },
  };
  return { state, source };
}

function choose() {
  const [fast, portable] = [aSource('cgroup'), aSource('docker')];
  const clock = { monotonic: vi.fn(() => 0) };
  const choice = createSourceChoice({ sources: [fast.source, portable.source], retryMs: 60_000, clock });
  const meter = choice.open(CONTAINER);
  if (!meter) throw new Error('cannot be measured');
  const way = async () => (await meter.read(signal))?.source;
  return { fast: fast.state, portable: portable.state, clock, meter, way };
}

describe('the choice between ways of reading', () => {
  it('takes the best, and does not open the others', async () => {
    const { portable, way } = choose();
    expect(await way()).toBe('cgroup');
    expect(portable.opens).toBe(0);
  });

  it('falls back within the same look when the best fails, leaves it alone for a while, and goes back', async () => {
    const { fast, portable, clock, way } = choose();
    await way();
    fast.fails = true;
    expect(await way()).toBe('docker');
    expect(fast.isOpen).toBe(false);
    fast.fails = false;
    expect(await way()).toBe('docker');
    expect(fast.opens).toBe(1);
    clock.monotonic.mockReturnValue(60_000);
    expect(await way()).toBe('cgroup');
    expect(portable.isOpen).toBe(false);
  });

  it('takes the next where the best cannot read, and says what kept the last one', async () => {
    const { fast, portable, way } = choose();
    fast.canOpen = false;
    expect(await way()).toBe('docker');
    portable.fails = true;
    await expect(way()).rejects.toThrow('docker fails');
    portable.fails = false;
    expect(await way()).toBe('docker');
  });

  it('ends with the run, without asking in another way', async () => {
    const { fast, portable, way } = choose();
    await way();
    fast.ended = true;
    expect(await way()).toBeUndefined();
    expect(portable.opens).toBe(0);
  });

  it('lets go of everything when it is closed', async () => {
    const { fast, portable, meter, way } = choose();
    fast.fails = true;
    await way();
    meter.close();
    expect(portable.isOpen).toBe(false);
  });
});
