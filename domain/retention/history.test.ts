import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isWithinBounds, mayForgetEvent, mayForgetOperation } from './history.ts';
import { DEFAULT_RETENTION as POLICY } from './policy.ts';

const DAY_MS = 24 * 3_600_000;
const EXISTS = { exists: true };
const DELETED = { exists: false };

const anAge = (changes: Partial<Parameters<typeof mayForgetOperation>[0]> = {}) => ({
  ...{ newer: 5, ageMs: DAY_MS, isOpen: false, madeKeptRevision: false },
  ...changes,
});

describe('an operation', () => {
  it.each([
    ['stays for ninety days', anAge({ ageMs: 90 * DAY_MS }), EXISTS, false],
    ['goes then', anAge({ ageMs: 90 * DAY_MS + 1 }), EXISTS, true],
    ['goes earlier when a thousand are newer', anAge({ newer: 1_000, ageMs: 2 * DAY_MS }), EXISTS, true],
    ['stays when fewer are newer', anAge({ newer: 999, ageMs: 2 * DAY_MS }), EXISTS, false],
    ['stays for a day however many are newer', anAge({ newer: 50_000, ageMs: DAY_MS }), EXISTS, false],
    ['stays while it is not over', anAge({ isOpen: true, ageMs: 900 * DAY_MS }), EXISTS, false],
    ['stays as the newest of its deployment', anAge({ newer: 0, ageMs: 900 * DAY_MS }), EXISTS, false],
    ['stays with the revision that it made', anAge({ madeKeptRevision: true, ageMs: 900 * DAY_MS }), EXISTS, false],
    ['goes as the newest of a deleted deployment', anAge({ newer: 0, ageMs: 91 * DAY_MS }), DELETED, true],
    ['of a deleted deployment stays as long as others', anAge({ newer: 0, ageMs: 89 * DAY_MS }), DELETED, false],
  ])('%s', (_, operation, deployment, expected) => {
    expect(mayForgetOperation(operation, deployment, POLICY)).toBe(expected);
  });
});

describe('an event', () => {
  const event = { newer: 5, ageMs: 91 * DAY_MS, isOfOpenOperation: false };

  it.each([
    ['goes after ninety days', event, true],
    ['goes when ten thousand are newer', { ...event, newer: 10_000, ageMs: 2 * DAY_MS }, true],
    ['stays while its operation is not over', { ...event, isOfOpenOperation: true }, false],
    ['stays otherwise', { ...event, newer: 9_999, ageMs: 89 * DAY_MS }, false],
  ])('%s', (_, of, expected) => {
    expect(mayForgetEvent(of, POLICY)).toBe(expected);
  });
});

describe('the bounds of history', () => {
  it('never leave out what is newer than something that they hold', () => {
    const anyAge = fc.record({ newer: fc.nat({ max: 3_000 }), days: fc.nat({ max: 200 }) });
    const anyShare = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(anyAge, anyShare, anyShare, ({ newer, days }, newerShare, ageShare) => {
        const older = { newer, ageMs: days * DAY_MS };
        const other = { newer: Math.floor(newer * newerShare), ageMs: days * DAY_MS * ageShare };
        const isHeld = isWithinBounds(older, POLICY.operations, POLICY);
        expect(isWithinBounds(other, POLICY.operations, POLICY) || !isHeld).toBe(true);
      }),
    );
  });
});
