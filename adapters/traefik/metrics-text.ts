/** Longest time for one look. */
const LOOK_TIMEOUT_MS = 5_000;

/** Longest answer: 8 MB are a thousand services with all of their codes. */
const MOST_BYTES = 32 * 1024 * 1024;

/**
 * Reads the counters of an ingress, in Prometheus' text format, from its internal entry point.
 *
 * @throws what kept it from answering in time and in size; nothing longer than allowed is ever in memory.
 */
export async function readMetricsText(url: string, signal: AbortSignal): Promise<string> {
  const answer = await fetch(new URL('/metrics', url), {
    signal: AbortSignal.any([signal, AbortSignal.timeout(LOOK_TIMEOUT_MS)]),
    redirect: 'error',
  });
  if (!answer.ok) throw new Error(`it answered ${answer.status}`);
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of answer.body ?? []) {
    bytes += part.length;
    if (bytes > MOST_BYTES) throw new Error(`it answered with more than ${MOST_BYTES} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}
