import { z } from 'zod';
import { isLabelWord } from '../domain/node-labels.ts';
import { DEFAULT_CPU_OVERCOMMIT, type PlacementRules } from '../domain/placement/placement.ts';
import { STRATEGY_NAMES } from '../domain/placement/strategies.ts';
import { choice, integer } from './variables.ts';

/** How nodes are filled: for the orchestrators, which place, and for the API, which says where they would. */
export const placementVariables = z.object({
  DEPLOYMENT_STRATEGY: choice(STRATEGY_NAMES, 'least-loaded'),
  /** The label of nodes across whose values `spread` puts replicas; without one each node is a place of its own. */
  DEPLOYMENT_SPREAD_LABEL: z.string().refine(isLabelWord, 'must be the name of a label, such as region').optional(),
  MAX_DEPLOYMENTS_PER_NODE: integer({ min: 1, max: 10_000, default: 50 }),
});

/** The rules that the variables make. */
export function toPlacementRules(config: z.infer<typeof placementVariables>): PlacementRules {
  const { DEPLOYMENT_SPREAD_LABEL: spreadLabel } = config;
  return {
    strategy: config.DEPLOYMENT_STRATEGY,
    ...(spreadLabel === undefined ? {} : { spreadLabel }),
    maxDeploymentsPerNode: config.MAX_DEPLOYMENTS_PER_NODE,
    cpuOvercommit: DEFAULT_CPU_OVERCOMMIT,
  };
}
