import type { ObservedContainer } from '../domain/container.ts';
import { type ProbeOutcome, settleMs } from '../domain/health-gate.ts';
import type { HealthRules } from '../domain/health-rules.ts';
import type { ReplicaPorts } from './node-ports.ts';

/** What is needed to look at a replica. */
export type LookPorts = Pick<ReplicaPorts, 'prober' | 'nodeAddress'>;

/**
 * Looks once at a container's health, by its own rules, and whether requests get there.
 *
 * A container that does not run at this moment gives no answer: whether it comes back is for others to judge. Health
 * commands are run by Docker, which has the verdict.
 */
export async function lookAtReplica(
  container: ObservedContainer,
  rules: HealthRules,
  ports: LookPorts,
): Promise<ProbeOutcome> {
  const outcome = await askApplication(container, rules, ports);
  const reason = outcome.kind === 'passed' ? await whyUnreachable(container, rules, ports) : null;
  return reason === null ? outcome : { kind: 'unreachable', reason };
}

async function askApplication(
  container: ObservedContainer,
  { check, port }: HealthRules,
  { prober }: LookPorts,
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

/**
 * Says why the port at which the ingress asks a replica leads nowhere; `null` when it leads there, and when the
 * application does not listen itself: then there is nothing to lead to.
 *
 * The published port can be closed beside an application in health: a daemon of 20.10 that starts on a full disk keeps
 * its containers without their ports, and whoever empties the host's packet filter takes them from all. It is no proof
 * of health by itself, since Docker's proxy answers there for a dead application.
 */
async function whyUnreachable(
  { ipAddress, hostPort }: ObservedContainer,
  { check: { timeoutMs }, port }: HealthRules,
  { prober, nodeAddress }: LookPorts,
): Promise<string | null> {
  if (port === null || hostPort === null || ipAddress === null) return null;
  const reason = await prober.probeTcp({ host: nodeAddress, port: hostPort, timeoutMs });
  if (reason === null) return null;
  const listens = (await prober.probeTcp({ host: ipAddress, port, timeoutMs })) === null;
  return listens ? `it answers, and its published port on ${nodeAddress} does not: ${reason}` : null;
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
