import { describe, expect, it } from 'vitest';
import { aPlacementNode, aPlacementRequest, GIB, RULES } from '../../test/support/placements.ts';
import { explainPlacement } from './explain.ts';
import { choosePlacement, type PlacementQuestion } from './placement.ts';

function explained(question: PlacementQuestion): string {
  return explainPlacement(question, choosePlacement(question).assignments ?? []);
}

describe('an explanation', () => {
  it('tells of each node why it was chosen or not', () => {
    const nodes = [
      aPlacementNode('node-a', { reservedMemoryBytes: 4 * GIB }),
      aPlacementNode('node-b'),
      aPlacementNode('node-c', { ready: false, unready: 'cordoned' }),
      aPlacementNode('node-d', { ready: false }),
      aPlacementNode('node-e', { reservedMemoryBytes: 7.5 * GIB }),
      aPlacementNode('node-f', { otherDeployments: 50 }),
    ];
    expect(explained({ request: aPlacementRequest(), nodes, rules: RULES })).toBe(
      'least-loaded: node-b 13 % full with it; would be node-a 63 %; not node-c (cordoned), node-d (not ready), ' +
        'node-e (has 8 cores and 512 MiB free), node-f (holds as many deployments as it may)',
    );
  });

  it('says where a rotation went on, and counts what it does not name', () => {
    const nodes = Array.from({ length: 9 }, (_, index) => aPlacementNode(`node-${index}`));
    const rules = { ...RULES, strategy: 'round-robin' } as const;
    const request = aPlacementRequest({ replicas: 2 });
    expect(explained({ request, nodes, rules, after: 'node-8' })).toBe(
      'round-robin, after node-8: node-0 13 % full with it, node-1 13 % full with it; ' +
        'would be node-2 13 %, node-3 13 %, node-4 13 %, node-5 13 %, node-6 13 %, 2 more',
    );
  });
});
