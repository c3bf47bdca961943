const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** As shells report a command that was ended by SIGINT. */
const EXIT_INTERRUPTED = 130;

/** Runs something, then what it has put on the stack, last first: also when a signal ends this process before. */
export async function cleaningUp<Result>(work: (stack: AsyncDisposableStack) => Promise<Result>): Promise<Result> {
  const stack = new AsyncDisposableStack();
  const onSignal = (): void => void stack.disposeAsync().finally(() => process.exit(EXIT_INTERRUPTED));
  for (const signal of SIGNALS) process.once(signal, onSignal);
  try {
    return await work(stack);
  } finally {
    for (const signal of SIGNALS) process.off(signal, onSignal);
    await stack.disposeAsync();
  }
}
