import type { ObservedContainer } from '../domain/container.ts';
import { type ProbeOutcome, settleMs } from '../domain/health-gate.ts';
import type { HealthRules } from '../domain/health-rules.ts';
import type { HealthProber } from './node-ports.ts';

/**
 * Looks once at a container's health, by its own rules.
 *
 * A container that does not run at this moment gives no answer: whether it comes back is for others to judge. Health
 * commands are run by Docker, which has the verdict.
 */
export async function lookAtReplica(
  container: ObservedContainer,
  { check, port }: HealthRules,
  prober: HealthProber,
): Promise<ProbeOutcome> {
  const { probe, timeoutMs } = check;
  if (container.status !== 'running') return { kind: 'pending' };
  if (probe.kind === 'none') return { kind: 'passed' };
  if (probe.kind === 'command') return fromDocker(container);
  if (port === null) return hasSettled(container, settleMs(check)) ? { kind: 'passed' } : { kind: 'pending' };
  const host = container.ipAddress;
  if (host === null) return { kind: 'failed', reason: 'it has no address on its network' };
  const reason =
    probe.kind === 'http'
      ? await prober.probeHttp({ host, port, timeoutMs, path: probe.path, expectedStatus: probe.expectedStatus })
      : await prober.probeTcp({ host, port, timeoutMs });
  return reason === null ? { kind: 'passed' } : { kind: 'failed', reason };
}

function fromDocker({ dockerHealth }: ObservedContainer): ProbeOutcome {
  if (dockerHealth === 'healthy') return { kind: 'passed' };
  if (dockerHealth === 'unhealthy') return { kind: 'final', reason: 'its health command failed too often' };
  return { kind: 'pending' };
}

/** Docker and this process share the host's clock. */
function hasSettled({ startedAt }: ObservedContainer, forMs: number): boolean {
  return startedAt !== null && Date.now() - Date.parse(startedAt) >= forMs;
}
