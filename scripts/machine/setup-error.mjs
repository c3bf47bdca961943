/** A failure of the set-up that a person can act on. */
export class SetupError extends Error {
  /**
   * @param {string} message what was tried and what was found
   * @param {{ hint?: string | undefined, cause?: unknown }} [options] hint: what to do, one imperative sentence or a command
   */
  constructor(message, options = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'SetupError';
    this.hint = options.hint;
  }
}
