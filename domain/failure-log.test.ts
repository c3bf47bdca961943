import fc from 'fast-check';
import { expect, it } from 'vitest';
import { KEPT_FAILURE_LOG, newestLines } from './failure-log.ts';

it('keeps the newest lines of a log, as many as fit, and says whether there were others', () => {
  const text = fc.oneof(
    fc.string({ maxLength: 20 }),
    fc.constant('x'.repeat(16 * 1024)),
    fc.constant('ü'.repeat(9_000)),
  );
  fc.assert(
    fc.property(fc.array(text, { maxLength: 700 }), (texts) => {
      const all = texts.map((one) => ({ text: one }));
      const { lines, shortened } = newestLines(all);
      expect(lines).toEqual(all.slice(all.length - lines.length));
      const bytesOf = (some: readonly { text: string }[]) =>
        some.reduce((sum, one) => sum + Buffer.byteLength(one.text), 0);
      expect(lines.length).toBeLessThanOrEqual(KEPT_FAILURE_LOG.lines);
      expect(bytesOf(lines)).toBeLessThanOrEqual(KEPT_FAILURE_LOG.bytes);
      expect(shortened).toBe(lines.length < all.length);
      const oneMore = all.slice(-lines.length - 1);
      if (shortened && lines.length < KEPT_FAILURE_LOG.lines) {
        expect(bytesOf(oneMore)).toBeGreaterThan(KEPT_FAILURE_LOG.bytes);
      }
    }),
  );
});
