import { cancellationSignal, heartbeat } from '@temporalio/activity';
import type { IngressActivities } from '../contracts/activities.ts';

/** What this activity needs from the world: to see which generation of routes every ingress serves. */
export interface IngressProbe {
  /** Resolves once every ingress serves `generation` or a later one. @throws INGRESS_UNCONFIRMED after `timeoutMs`. */
  awaitGeneration(wanted: {
    readonly generation: number;
    readonly timeoutMs: number;
    readonly signal: AbortSignal;
    readonly onProgress: () => void;
  }): Promise<void>;
}

/** Only looks, so running it twice is safe. Heartbeats at every look. */
export function createAwaitIngress(probe: IngressProbe): IngressActivities {
  return {
    awaitIngress: ({ generation, timeoutMs }) =>
      probe.awaitGeneration({ generation, timeoutMs, signal: cancellationSignal(), onProgress: () => heartbeat() }),
  };
}
