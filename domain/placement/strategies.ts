import { byRank } from './ranked.ts';
import { loadWith, sharesWith } from './room.ts';
import { inRotation } from './round-robin.ts';
import { acrossDomains } from './spread.ts';
import type { Strategy } from './strategy.ts';

/** How nodes can be filled. */
export const STRATEGY_NAMES = ['least-loaded', 'round-robin', 'resource-based', 'spread'] as const;

export type StrategyName = (typeof STRATEGY_NAMES)[number];

export function isStrategyName(text: string): text is StrategyName {
  return STRATEGY_NAMES.some((name) => name === text);
}

/**
 * - `least-loaded`: the node of which the least is reserved with the replica, by the larger of its two shares.
 * - `resource-based`: the node that is fullest with it, by the mean of its two shares: what is large finds room later.
 * - `round-robin`: the next node by id after the one that was chosen last, whatever it holds.
 * - `spread`: where the fewest replicas of the deployment are, by the values of a label; there the node with the
 *   fewest, the least loaded of several.
 *
 * All of them choose only among nodes on which it fits.
 */
export const STRATEGIES: Readonly<Record<StrategyName, Strategy>> = {
  'least-loaded': byRank(loadWith),
  'resource-based': byRank((node, replicas, input) => {
    const { cpu, memory } = sharesWith(node, replicas, input);
    return -(cpu + memory) / 2;
  }),
  'round-robin': inRotation,
  spread: acrossDomains,
};
