import { cancellationSignal, heartbeat } from '@temporalio/activity';
import type { IngressActivities } from '../contracts/activities.ts';
import { judgeCanary, type RequestCounts } from '../domain/canary.ts';
import { createWakeUp } from './wake-up.ts';

/** What these activities need from the world: to see what every ingress serves, and how it answered. */
export interface IngressProbe {
  /** Resolves once every ingress serves `generation` or a later one. @throws INGRESS_UNCONFIRMED after `timeoutMs`. */
  awaitGeneration(wanted: {
    readonly generation: number;
    readonly timeoutMs: number;
    readonly signal: AbortSignal;
    readonly onProgress: () => void;
  }): Promise<void>;
  /** Requests that all ingresses have answered for a revision so far. @throws INGRESS_UNCONFIRMED */
  countRequests(of: {
    readonly deploymentId: string;
    readonly revision: number;
    readonly signal: AbortSignal;
  }): Promise<RequestCounts>;
}

/** Counters have no events: they are read this often, so that a bad revision is taken back soon. */
const LOOK_EVERY_MS = 1_000;

/** Only looks, so running it twice is safe. Heartbeats at every look. */
export function createIngressActivities(probe: IngressProbe): IngressActivities {
  return {
    awaitIngress: ({ generation, timeoutMs }) =>
      probe.awaitGeneration({ generation, timeoutMs, signal: cancellationSignal(), onProgress: () => heartbeat() }),
    watchErrors: async ({ deploymentId, revision, gate }) => {
      const signal = cancellationSignal();
      const pause = createWakeUp();
      const look = () => probe.countRequests({ deploymentId, revision, signal });
      const before = await look();
      const endsAt = performance.now() + gate.waitMs;
      for (;;) {
        heartbeat();
        const leftMs = endsAt - performance.now();
        await pause.wait(Math.max(0, Math.min(LOOK_EVERY_MS, leftMs)), signal);
        const isOver = performance.now() >= endsAt;
        judgeCanary({ gate, revision, before, now: await look(), isOver });
        if (isOver) return;
      }
    },
  };
}
