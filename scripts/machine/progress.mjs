/**
 * Says what the set-up does. Nothing is printed while there is nothing to do.
 *
 * @typedef {object} Progress
 * @property {(message: string) => void} note one line
 * @property {<T>(step: Step, work: () => Promise<T>) => Promise<T>} during runs the work, with its time
 *
 * @typedef {object} Step
 * @property {string} what
 * @property {string} why
 * @property {boolean} [isAttempt] another way follows when it fails, so its failure needs no line of its own
 */

const REMINDER_MS = 15_000;
const TICK_MS = 1_000;

/**
 * Writes to standard error, so that a command's own output stays clean. A terminal gets one line that counts the
 * seconds; anything else gets a line at the start, one each 15 s, and one at the end.
 *
 * @param {{ quiet?: boolean, stream?: NodeJS.WriteStream }} [options]
 * @returns {Progress}
 */
export function createProgress({ quiet = false, stream = process.stderr } = {}) {
  const isTerminal = stream.isTTY === true;
  const write = (/** @type {string} */ text) => {
    if (!quiet) stream.write(text);
  };
  return {
    note: (message) => write(`  ${message}\n`),
    during: async ({ what, why, isAttempt = false }, work) => {
      const startedAt = Date.now();
      const seconds = () => Math.round((Date.now() - startedAt) / 1000);
      write(isTerminal ? `… ${what} (${why})` : `… ${what} (${why})\n`);
      const timer = setInterval(
        () => write(isTerminal ? `\r\x1b[2K… ${what} (${why}) ${seconds()} s` : `  still ${what}, ${seconds()} s\n`),
        isTerminal ? TICK_MS : REMINDER_MS,
      );
      const finish = (/** @type {string} */ mark) =>
        write(`${isTerminal ? '\r\x1b[2K' : ''}${mark} ${what}, ${seconds()} s\n`);
      try {
        const result = await work();
        finish('✓');
        return result;
      } catch (error) {
        if (isAttempt) write(isTerminal ? '\r\x1b[2K' : '');
        else finish('✗');
        throw error;
      } finally {
        clearInterval(timer);
      }
    },
  };
}
