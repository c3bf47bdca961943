import { join, resolve } from 'node:path';
import { isDomainError } from '../domain/errors.ts';
import { startPlatform } from './dev/platform.ts';
import { createTerminal } from './dev/terminal.ts';
import { EXIT_CONFIGURATION } from './run-role.ts';

/** As shells report a command that was ended by SIGINT. */
const EXIT_INTERRUPTED = 130;

const startedAt = performance.now();
const terminal = createTerminal(process.stdout);
const root = join(import.meta.dirname, '..');
const stateDir = resolve(root, process.env.OBIENTE_STATE_DIR || '.obiente');
const stopAsked = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stopAsked.abort());

try {
  const platform = await startPlatform({
    stateDir,
    environment: process.env,
    onEvent: terminal.event,
    signal: stopAsked.signal,
  });
  terminal.ready(platform, performance.now() - startedAt, join(stateDir, 'logs'));
  if (!stopAsked.signal.aborted) {
    await new Promise((asked) => stopAsked.signal.addEventListener('abort', asked, { once: true }));
  }
  terminal.stopping();
  await platform.stop();
  process.exit(0);
} catch (error) {
  if (stopAsked.signal.aborted) process.exit(EXIT_INTERRUPTED);
  terminal.failed(error);
  process.exit(isDomainError(error) && error.code === 'CONFIGURATION' ? EXIT_CONFIGURATION : 1);
}
