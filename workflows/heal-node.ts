import { log } from '@temporalio/workflow';
import type { NodeLoss } from '../contracts/node.ts';
import { store } from './activity-stubs.ts';
import { askToHeal } from './ask-deployment.ts';

/** How long a node has been lost before its replicas are replaced; a node's process that restarts is back sooner. */
const FIRST_HEAL_MS = 10_000;

/** Pauses before what could not be healed is tried again; the last one over and over. */
const NEXT_HEALS_MS = [60_000, 300_000, 3_600_000] as const;

/** A node that is lost from now on. */
export function lostNow(): NodeLoss {
  return { dueAt: Date.now() + FIRST_HEAL_MS, attempts: 0 };
}

/**
 * Asks the deployments of a lost node to replace what was there, when it is time to.
 *
 * Each decides by itself, when its turn comes, whether the node is still lost. What is left is asked again later: those
 * that found no room, and those beyond what one attempt asks.
 */
export async function healWhenDue(nodeId: string, loss: NodeLoss): Promise<NodeLoss> {
  if (Date.now() < loss.dueAt) return loss;
  const deployments = await store.listHealable({ nodeId });
  await Promise.all(deployments.map((deploymentId) => askToHeal(deploymentId, `node ${nodeId} does not answer`)));
  if (deployments.length === 0) return { ...loss, dueAt: Date.now() + FIRST_HEAL_MS };
  log.info('asked deployments to replace what was on the node', { asked: deployments.length });
  const pauseMs = NEXT_HEALS_MS[Math.min(loss.attempts, NEXT_HEALS_MS.length - 1)] ?? FIRST_HEAL_MS;
  return { dueAt: Date.now() + pauseMs, attempts: loss.attempts + 1 };
}
