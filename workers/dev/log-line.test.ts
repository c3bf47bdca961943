import { describe, expect, it } from 'vitest';
import { toPlainLine } from './log-line.ts';

describe('toPlainLine', () => {
  it.each([
    [
      '{"level":60,"time":"2026","msg":"cannot start: API_PORT: too big","hint":"Set it."}',
      'cannot start: API_PORT: too big → Set it.',
    ],
    [
      '{"level":60,"err":{"message":"no such file","stack":"at x"},"msg":"ended by an error"}',
      'ended by an error: no such file',
    ],
    ['2026-11-23 UTC [1] LOG:  shutting down', '2026-11-23 UTC [1] LOG:  shutting down'],
    ['{"cut":', '{"cut":'],
  ])('reads %j', (line, plain) => {
    expect(toPlainLine(line)).toBe(plain);
  });

  it('cuts what is too long for a terminal', () => {
    expect(toPlainLine('x'.repeat(10_000))).toHaveLength(401);
  });
});
