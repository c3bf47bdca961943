import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keptRevisions, movedBuilds, prunedRevisions, type RevisionFacts } from './revisions.ts';

const POLICY = { revisions: 20 };

/** A deployment with revisions 1 to `newest`, of which the given ones came up; the last of those runs. */
function facts(newest: number, changes: Partial<RevisionFacts> = {}): RevisionFacts {
  const cameUp = changes.cameUp ?? [];
  const current = Math.max(0, ...cameUp);
  const runs = current > 0 ? [current] : [];
  return {
    existing: Array.from({ length: newest }, (_, index) => index + 1),
    ...{ current, serving: current, canary: null, goal: runs, running: runs, open: [], cameUp },
    ...changes,
  };
}

const numbers = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const kept = (of: RevisionFacts): number[] => [...keptRevisions(of, POLICY)].sort((a, b) => a - b);

describe('the revisions that are kept', () => {
  it.each<[string, RevisionFacts, number[]]>([
    ['all of a few', facts(20, { cameUp: [1] }), numbers(1, 20)],
    ['the newest twenty of many', facts(25, { cameUp: [24, 25] }), numbers(6, 25)],
    ['what runs', facts(25, { cameUp: [24, 25], running: [2, 25] }), [2, ...numbers(6, 25)]],
    ['what serves', facts(25, { cameUp: [24, 25], serving: 3 }), [3, ...numbers(6, 25)]],
    ['the goal of every service', facts(25, { cameUp: [24, 25], goal: [1, 4] }), [1, 4, ...numbers(6, 25)]],
    ['what an operation makes', facts(25, { cameUp: [24, 25], open: [5] }), [5, ...numbers(6, 25)]],
    ['a canary', facts(25, { cameUp: [24, 25], canary: 2 }), [2, ...numbers(6, 25)]],
    ['the last two that came up before many failed', facts(50, { cameUp: [1, 3, 7] }), [3, 7, ...numbers(31, 50)]],
    [
      'the last that came up, also stopped',
      facts(50, { cameUp: [7], running: [], serving: 0 }),
      [7, ...numbers(31, 50)],
    ],
  ])('are %s', (_, of, expected) => {
    expect(kept(of)).toEqual(expected);
  });

  const anyFacts: fc.Arbitrary<RevisionFacts> = fc
    .uniqueArray(fc.integer({ min: 1, max: 200 }), { maxLength: 80 })
    .chain((existing) => {
      const some = existing.length === 0 ? fc.constant<number[]>([]) : fc.subarray(existing);
      const one = existing.length === 0 ? fc.constant(0) : fc.constantFrom(0, ...existing);
      return fc.record({
        ...{ existing: fc.constant(existing), current: one, serving: one, canary: fc.option(one) },
        ...{ goal: some, running: some, open: some, cameUp: some },
      });
    });
  const anyBound = fc.integer({ min: 2, max: 30 });

  it('hold everything that runs, serves, is wanted or is under way, and the last that worked', () => {
    fc.assert(
      fc.property(anyFacts, anyBound, (of, revisions) => {
        const stays = keptRevisions(of, { revisions });
        const needed = [of.current, of.serving, of.canary ?? 0, ...of.goal, ...of.running, ...of.open];
        const last = Math.max(0, ...of.cameUp);
        for (const number of [...needed, last]) if (number > 0) expect(stays).toContain(number);
      }),
    );
  });

  it('are at least as many of the newest as the bound says', () => {
    fc.assert(
      fc.property(anyFacts, anyBound, (of, revisions) => {
        const stays = keptRevisions(of, { revisions });
        for (const number of of.existing.toSorted((a, b) => b - a).slice(0, revisions)) {
          expect(stays).toContain(number);
        }
      }),
    );
  });

  it('and those that go are all there are, and a second look finds nothing more', () => {
    fc.assert(
      fc.property(anyFacts, anyBound, (of, revisions) => {
        const goes = prunedRevisions(of, { revisions });
        const stays = keptRevisions(of, { revisions });
        expect([...goes, ...stays].sort()).toEqual([...of.existing].sort());
        expect(prunedRevisions({ ...of, existing: [...stays] }, { revisions })).toEqual([]);
      }),
    );
  });

  it('are the same whatever was pruned before, so a dry run tells what a run does', () => {
    fc.assert(
      fc.property(anyFacts, anyBound, (of, revisions) => {
        const foretold = keptRevisions(of, { revisions });
        const [halfWay] = [prunedRevisions(of, { revisions }).slice(0, 3)];
        const existing = of.existing.filter((number) => !halfWay.includes(number));
        expect([...keptRevisions({ ...of, existing }, { revisions })].sort()).toEqual([...foretold].sort());
      }),
    );
  });
});

describe('a build whose revision goes', () => {
  const build = { revision: 3, service: 'app', imageId: 'sha256:3' };
  const pin = (revision: number, service = 'app') => ({ revision, service, digest: 'sha256:3' });

  it('is remembered with a copy of it that stays', () => {
    expect(movedBuilds([3], [build], [pin(3), pin(9), pin(12)])).toEqual([{ from: build, toRevision: 9 }]);
  });

  it.each([
    ['nothing that stays runs its image', [3, 9], [build], [pin(3), pin(9)]],
    ['another service runs its image', [3], [build], [pin(9, 'worker')]],
    ['a build that stays made the same image', [3], [build, { ...build, revision: 4 }], [pin(4), pin(9)]],
    ['it stays itself', [2], [build], [pin(3), pin(9)]],
  ])('is not when %s', (_, goes, builds, pins) => {
    expect(movedBuilds(goes, builds, pins)).toEqual([]);
  });

  it('is so once, of several that made the same image', () => {
    const again = { ...build, revision: 4 };
    expect(movedBuilds([3, 4], [build, again], [pin(9)])).toEqual([{ from: build, toRevision: 9 }]);
  });
});
