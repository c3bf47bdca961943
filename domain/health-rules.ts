import type { HealthCheck, HealthProbe, ServiceSpec } from './spec.ts';

/** How the health of a running container is found out, as its label tells it. */
export interface HealthRules {
  readonly check: HealthCheck;
  /** The application's own port, not the published one. */
  readonly port: number | null;
}

/** The rules of a service: its check knocks where the ingress leads to, or where the service listens for others. */
export function rulesOf({
  healthCheck: check,
  port,
  container,
}: Pick<ServiceSpec, 'healthCheck' | 'port' | 'container'>): HealthRules {
  return { check, port: port ?? container.checkPort };
}

/**
 * Writes the rules as the label of a container, so that its checks outlive the node process.
 *
 * The words of a health command are left out: Docker runs it by itself, and they may hold a secret.
 */
export function toHealthLabel({ check, port }: HealthRules): string {
  const probe: HealthProbe = check.probe.kind === 'command' ? { kind: 'command', command: [] } : check.probe;
  return JSON.stringify({ check: { ...check, probe }, port });
}

/** Reads the label; `undefined` for anything that was not written by {@link toHealthLabel}. */
export function parseHealthLabel(label: string | undefined): HealthRules | undefined {
  try {
    const { check, port } = JSON.parse(label ?? '') as HealthRules;
    const times = [check.intervalMs, check.timeoutMs, check.retries, check.startPeriodMs];
    const isWhole = times.every((time) => Number.isFinite(time) && time >= 0) && check.intervalMs > 0;
    return isWhole && isProbe(check.probe) && (port === null || Number.isInteger(port)) ? { check, port } : undefined;
  } catch {
    // Not JSON, or not of this shape: the container was made by something else.
    return undefined;
  }
}

function isProbe(probe: HealthProbe): boolean {
  if (probe.kind === 'http') return typeof probe.path === 'string' && probe.path.startsWith('/');
  return probe.kind === 'automatic' || probe.kind === 'command' || probe.kind === 'none';
}
