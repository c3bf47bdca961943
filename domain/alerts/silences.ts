/** What keeps notifications back for a while. What is `null` in it matches everything. */
export interface Silence {
  /** `null` for one that an operator made for the whole platform. */
  readonly organizationId: string | null;
  readonly rule: string | null;
  readonly deploymentId: string | null;
  readonly nodeId: string | null;
  readonly untilMs: number;
}

/** What of an alert a silence looks at. */
export interface Silenceable {
  /** `null` for an alert of the platform. */
  readonly organizationId: string | null;
  readonly rule: string;
  readonly deploymentId: string | null;
  readonly nodeId: string | null;
}

/** Longest silence: after a month what is still silenced is forgotten. Milliseconds. */
export const LONGEST_SILENCE_MS = 31 * 24 * 3_600_000;

/**
 * Whether a silence holds of an alert now. One of an organization never holds of what belongs to another one or to the
 * platform; one that an operator made holds of all.
 */
export function isSilenced(alert: Silenceable, silences: readonly Silence[], nowMs: number): boolean {
  return silences.some(
    ({ organizationId, rule, deploymentId, nodeId, untilMs }) =>
      nowMs < untilMs &&
      (organizationId === null || organizationId === alert.organizationId) &&
      (rule === null || rule === alert.rule) &&
      (deploymentId === null || deploymentId === alert.deploymentId) &&
      (nodeId === null || nodeId === alert.nodeId),
  );
}
