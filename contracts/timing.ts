/**
 * Durations of a rollout, in milliseconds. They are part of a workflow's input, so a test gives milliseconds to the
 * real server, and a change of the configuration never changes a rollout that is under way.
 */
export interface RolloutTiming {
  /** How long a node may take to pick up work before it counts as unavailable. */
  readonly nodePickUpMs: number;
  /** Silence after which a node's activity counts as dead. */
  readonly heartbeatMs: number;
  /** Bound of everything on one node for one replica, retries included, on top of the health check's own bound. */
  readonly nodeWorkMs: number;
  /** How long a Git server may be away while a ref is looked up, tries included. */
  readonly sourceMs: number;
  /** Bound of one attempt of a build with its wait for one of its node's places; its node bounds the build itself. */
  readonly buildMs: number;
  /** How long the ingress may take to serve a new generation of routes. */
  readonly ingressMs: number;
  /** How long requests under way get after a replica was taken out of its routes. */
  readonly drainMs: number;
  /** Time from SIGTERM to SIGKILL of a replica that is removed. */
  readonly stopGraceMs: number;
}

/**
 * Defaults. Heartbeat 10 s with the worker's throttle at 2 s: a cancel arrives within about 1 s and a dead node is
 * noticed after about 10 s. Drain 10 s: longest ordinary request; long streams end at the stop. Build 24 h: a build is at
 * most 12 h long, and waits behind others; a node that dies is noticed by its heartbeats, not by this.
 */
export const DEFAULT_TIMING: RolloutTiming = {
  nodePickUpMs: 60_000,
  heartbeatMs: 10_000,
  nodeWorkMs: 10 * 60_000,
  sourceMs: 5 * 60_000,
  buildMs: 24 * 3_600_000,
  ingressMs: 60_000,
  drainMs: 10_000,
  stopGraceMs: 10_000,
};

/**
 * Silence after which the server gives a workflow task that an orchestrator has taken to another one. Half of the server's
 * own default: an orchestrator that was killed is back after 2 to 5 s, and should not wait for as long again. Local
 * activities that take longer renew it.
 */
export const WORKFLOW_TASK_MS = 5_000;

/**
 * Silence after which a look at the ingress counts as dead. It says that it lives every 2.3 s or sooner (a look takes 2 s
 * at most), and to look twice is harmless: an orchestrator that was killed while it looked is back long before the
 * silence that effects are allowed, which was the longest wait there was after its death.
 */
export const LOOK_SILENCE_MS = 5_000;
