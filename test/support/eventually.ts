/** How long a condition may take before the test is given up: a bound that only a hang reaches. On slow machines it is more. */
const PATIENCE_MS = Number(process.env.TEST_PATIENCE_MS || 60_000);

/**
 * Waits until `look` answers without throwing, and gives that answer. For conditions that no event announces.
 *
 * @throws what `look` threw last, once the patience has run out.
 */
export async function eventually<Answer>(
  look: () => Answer | Promise<Answer>,
  { patienceMs = PATIENCE_MS, everyMs = 50 }: { patienceMs?: number; everyMs?: number } = {},
): Promise<Answer> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    try {
      return await look();
    } catch (error) {
      if (performance.now() > deadline) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
