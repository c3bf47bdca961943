import { untilEvent } from '../faults/history.ts';
import type { Cluster } from './cluster.ts';

/** Kills the orchestrator once a workflow has an event, and resolves when it is back; kills nobody when the signal comes first. */
export async function killOrchestratorAt(
  { temporal, processes }: Cluster,
  at: { readonly workflowId: string; readonly event: number; readonly signal: AbortSignal },
): Promise<void> {
  const seen = await untilEvent(temporal, at.workflowId, { id: at.event, signal: at.signal });
  if (seen) await processes.kill('orchestrator').restarted;
}
