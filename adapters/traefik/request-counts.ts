import type { RequestCounts } from '../../domain/canary.ts';
import { DomainError } from '../../domain/errors.ts';
import { revisionServiceName } from '../../domain/routing.ts';
import { readMetricsText } from './metrics-text.ts';

/** One series of `traefik_service_requests_total`; label values are quoted, and ours need no escapes. */
const SERIES = /^traefik_service_requests_total\{([^}]*)\} ([0-9.e+]+)$/;

/**
 * Counts the requests that every ingress has answered for a revision, by the counters on their internal entry points.
 *
 * @throws INGRESS_UNCONFIRMED (retryable) when one of them cannot be asked: a part would look like few errors.
 */
export async function countRequests(
  urls: readonly string[],
  { deploymentId, revision, signal }: { deploymentId: string; revision: number; signal: AbortSignal },
): Promise<RequestCounts> {
  const service = `${revisionServiceName(deploymentId, revision)}@http`;
  const counts = await Promise.all(urls.map(async (url) => parseCounts(await read(url, signal), service)));
  return counts.reduce((sum, one) => ({ total: sum.total + one.total, errors: sum.errors + one.errors }), {
    total: 0,
    errors: 0,
  });
}

async function read(url: string, signal: AbortSignal): Promise<string> {
  try {
    return await readMetricsText(url, signal);
  } catch (cause) {
    signal.throwIfAborted();
    throw new DomainError('INGRESS_UNCONFIRMED', `cannot read the counters of the ingress at ${url}`, { cause });
  }
}

/** Sums the series of one service in Prometheus' text format. */
export function parseCounts(text: string, service: string): RequestCounts {
  let total = 0;
  let errors = 0;
  for (const line of text.split('\n')) {
    const [, labels = '', value = ''] = SERIES.exec(line) ?? [];
    if (!labels.includes(`service="${service}"`)) continue;
    total += Number(value);
    if (/(^|,)code="5\d\d"/.test(labels)) errors += Number(value);
  }
  return { total, errors };
}
