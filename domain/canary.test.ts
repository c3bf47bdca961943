import { describe, expect, it } from 'vitest';
import { judgeCanary } from './canary.ts';

const gate = { kind: 'errors', waitMs: 1000, maxErrorPercent: 5, minRequests: 20 } as const;

function judge(total: number, errors: number, isOver: boolean, before = { total: 0, errors: 0 }): () => void {
  return () => judgeCanary({ gate, revision: 4, before, now: { total, errors }, isOver });
}

describe('a canary', () => {
  it.each([
    { total: 0, errors: 0, isOver: false },
    { total: 19, errors: 19, isOver: false },
    { total: 20, errors: 1, isOver: true },
    { total: 1000, errors: 50, isOver: true },
  ])('goes on with $errors errors of $total (over: $isOver)', ({ total, errors, isOver }) => {
    expect(judge(total, errors, isOver)).not.toThrow();
  });

  it.each([
    { total: 20, errors: 2, isOver: false, found: '2 of 20 requests' },
    { total: 1000, errors: 51, isOver: true, found: '51 of 1000 requests' },
    { total: 19, errors: 0, isOver: true, found: 'only 19 of 20 requests' },
  ])('is refused with $errors errors of $total (over: $isOver)', ({ total, errors, isOver, found }) => {
    expect(judge(total, errors, isOver)).toThrow(expect.objectContaining({ code: 'CANARY_REFUSED' }));
    expect(judge(total, errors, isOver)).toThrow(found);
  });

  it('counts from its own beginning, and from zero after a restart of the ingress', () => {
    expect(judge(1010, 500, false, { total: 1000, errors: 500 })).not.toThrow();
    expect(judge(30, 10, false, { total: 1000, errors: 0 })).toThrow('10 of 30');
  });
});
