const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** As shells report a command that was ended by SIGINT. */
const EXIT_INTERRUPTED = 130;

/** Runs something, then what it has put on the stack, last first: also when a signal ends this process before. */
export async function cleaningUp<Result>(work: (stack: AsyncDisposableStack) => Promise<Result>): Promise<Result> {
  const stack = new AsyncDisposableStack();
  let cleaned: Promise<void> | undefined;
  const cleanUp = (): Promise<void> => {
    cleaned ??= stack.disposeAsync();
    return cleaned;
  };
  const onSignal = (): void => void cleanUp().finally(() => process.exit(EXIT_INTERRUPTED));
  // One interrupt may arrive several times: from the terminal, and from each process that passes it on.
  for (const signal of SIGNALS) process.on(signal, onSignal);
  try {
    return await work(stack);
  } finally {
    // Waits for a clean-up that a signal has begun, which made the work fail.
    await cleanUp();
    for (const signal of SIGNALS) process.off(signal, onSignal);
  }
}
