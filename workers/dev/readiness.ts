import { setTimeout as delay } from 'node:timers/promises';
import { isPortOpen } from '../../adapters/probe/port.ts';

/** What shows that a process can do its work: its own word over the IPC channel, a port, or an answer 200. */
export type Readiness =
  | { readonly kind: 'message' }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'http'; readonly url: string };

/** Nothing announces that a port has opened, so it is looked at this often. */
const LOOK_EVERY_MS = 50;
const LOOK_TIMEOUT_MS = 1_000;

/** Resolves when the port answers. @throws the signal's reason */
export async function untilAnswering(
  readiness: Exclude<Readiness, { kind: 'message' }>,
  signal: AbortSignal,
): Promise<void> {
  const look =
    readiness.kind === 'tcp'
      ? () => isPortOpen({ ...readiness, timeoutMs: LOOK_TIMEOUT_MS })
      : () => answersOk(readiness.url);
  while (!(await look())) await delay(LOOK_EVERY_MS, undefined, { signal });
}

async function answersOk(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(LOOK_TIMEOUT_MS) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    // Not there yet, which is what is being waited for.
    return false;
  }
}
