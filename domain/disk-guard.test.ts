import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DiskLevel, describeDisk, freePercentOf, isWorse, nextDiskLevel } from './disk-guard.ts';

const levels = fc.constantFrom<DiskLevel>('room', 'low', 'full');
const percents = fc.double({ min: 0, max: 100, noNaN: true });
const minima = fc.integer({ min: 1, max: 50 });

/** Levels through which a disk goes with these free shares, one after the other. */
function levelsOf(freePercents: readonly number[], known: DiskLevel = 'room'): DiskLevel[] {
  let level = known;
  return freePercents.map((freePercent) => {
    level = nextDiskLevel(level, { freePercent, minFreePercent: 10 });
    return level;
  });
}

describe('the level of a disk', () => {
  it('is low before it is full, and left only two points above where it began', () => {
    expect(levelsOf([40, 15, 14.9, 16.9, 10, 9.9, 11.9, 12, 16.9, 17])).toEqual([
      ...['room', 'room', 'low', 'low', 'low'],
      ...['full', 'full', 'low', 'low', 'room'],
    ]);
  });

  it('is full at once when the disk has filled between two looks, and has room at once when all has gone', () => {
    expect(levelsOf([40, 3, 60])).toEqual(['room', 'full', 'room']);
  });

  it('stays what it is while the same share is free', () => {
    fc.assert(
      fc.property(levels, percents, minima, (known, freePercent, minFreePercent) => {
        const once = nextDiskLevel(known, { freePercent, minFreePercent });
        expect(nextDiskLevel(once, { freePercent, minFreePercent })).toBe(once);
      }),
    );
  });

  it('does not flap: a disk that moves by less than two points changes its level in one direction only', () => {
    const moves = fc.array(fc.double({ min: 0, max: 1.99, noNaN: true }), { minLength: 1, maxLength: 50 });
    fc.assert(
      fc.property(levels, percents, minima, moves, (known, base, minFreePercent, offsets) => {
        let level = known;
        const seen = offsets.map((offset) => {
          level = nextDiskLevel(level, { freePercent: base + offset, minFreePercent });
          return level;
        });
        const changes = seen.slice(1).filter((next, index) => next !== seen[index]);
        expect(changes.length).toBeLessThanOrEqual(2);
        expect(new Set(seen).size).toBe(changes.length + 1);
      }),
    );
  });

  it('is never better with less free space, and never allows work below the minimum', () => {
    fc.assert(
      fc.property(levels, percents, percents, minima, (known, one, other, minFreePercent) => {
        const [less, more] = [Math.min(one, other), Math.max(one, other)];
        const with_ = (freePercent: number) => nextDiskLevel(known, { freePercent, minFreePercent });
        expect(isWorse(with_(more), with_(less))).toBe(false);
        if (less < minFreePercent) expect(with_(less)).toBe('full');
        if (more >= minFreePercent + 7) expect(with_(more)).toBe('room');
      }),
    );
  });

  it('is room, whatever is free, where nothing has to stay free', () => {
    expect(nextDiskLevel('full', { freePercent: 0, minFreePercent: 0 })).toBe('room');
  });
});

describe('free space', () => {
  it('is a share of what is written and may be written', () => {
    expect(freePercentOf({ freeBytes: 4, totalBytes: 100 })).toBe(4);
    expect(freePercentOf({ freeBytes: 0, totalBytes: 0 })).toBe(100);
    expect(freePercentOf({ freeBytes: 5, totalBytes: 4 })).toBe(100);
  });

  it('is told rounded down, since less is worse', () => {
    expect(describeDisk('full', 4.99)).toBe('its disk is nearly full: 4 % free');
    expect(describeDisk('low', 14)).toBe('its disk is filling up: 14 % free');
    expect(describeDisk('room', 50)).toBe('');
  });
});
