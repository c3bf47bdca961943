import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { afterMove, aModelNode, aPlacedDeployment, clusters, replicasOn } from '../../test/support/clusters.ts';
import { GIB, RULES } from '../../test/support/placements.ts';
import { createClusterModel, type ModelReplica } from './cluster-model.ts';
import { capacityOfAll, type Filling, fullnessOf, imbalanceOf } from './evenness.ts';
import { capacityOf, domainOf, rulesFor } from './placement.ts';
import type { PlannedMove } from './planned-moves.ts';
import { ANYWHERE, meets, parseConstraint } from './policy.ts';
import { planRebalance, type RebalanceQuestion } from './rebalance.ts';
import { REBALANCE_THRESHOLD } from './rebalance-search.ts';

type Check = (step: {
  readonly move: PlannedMove;
  readonly before: RebalanceQuestion;
  readonly after: RebalanceQuestion;
}) => void;

/** Makes the moves of a plan one after the other. @returns the cluster after all of them. */
function carryOut(question: RebalanceQuestion, check?: Check): RebalanceQuestion {
  let before = question;
  for (const move of planRebalance(question).moves) {
    const after = { ...before, replicas: afterMove(before.replicas, move) };
    check?.({ move, before, after });
    before = after;
  }
  return before;
}

function fillings({ nodes, replicas, rules }: RebalanceQuestion): Map<string, Filling> {
  const ready = nodes.filter((node) => node.ready);
  return new Map(
    ready.map((node) => {
      const reserved = { cpuCores: 0, memoryBytes: 0 };
      for (const { nodeId, cpuCores, memoryBytes } of replicas) {
        if (nodeId !== node.nodeId) continue;
        reserved.cpuCores += cpuCores;
        reserved.memoryBytes += memoryBytes;
      }
      return [node.nodeId, { reserved, capacity: capacityOf(node, rules) }];
    }),
  );
}

/** How much of a whole cluster came to a node: the sum of its shares of cores and of memory. */
function shareOfAll(old: Map<string, Filling>, now: Map<string, Filling>, nodeId: string): number {
  const all = capacityOfAll(old.values());
  return (['cpuCores', 'memoryBytes'] as const).reduce((sum, part) => {
    const came = (now.get(nodeId)?.reserved[part] ?? 0) - (old.get(nodeId)?.reserved[part] ?? 0);
    return sum + came / all[part];
  }, 0);
}

const countOn = (replicas: readonly ModelReplica[], deploymentId: string, nodeId: string): number =>
  replicas.filter((replica) => replica.deploymentId === deploymentId && replica.nodeId === nodeId).length;

/** A property runs this many clusters: all of them in some seconds. */
const RUNS = { numRuns: 200 };

const holdsForEachMove = (check: Check): void =>
  fc.assert(
    fc.property(clusters, (question) => {
      carryOut(question, check);
    }),
    RUNS,
  );

describe('a plan of moves', () => {
  it('lowers with each move how uneven the nodes are, by more than the threshold', () => {
    holdsForEachMove(({ move, before, after }) => {
      const [old, now] = [fillings(before), fillings(after)];
      const square = (of: typeof old): number => 2 * imbalanceOf([...of.values()]) ** 2;
      const [from, to] = [old.get(move.from), now.get(move.to)];
      if (!from || !to) throw new Error(`${move.from} or ${move.to} is not ready`);
      expect(square(old) - square(now)).toBeGreaterThan(REBALANCE_THRESHOLD * shareOfAll(old, now, move.to) - 1e-9);
      expect(fullnessOf(from) - fullnessOf(to)).toBeGreaterThan(REBALANCE_THRESHOLD - 1e-9);
    });
  });

  it('makes only moves that a placement could make', () => {
    holdsForEachMove(({ move, before }) => {
      const { nodes, replicas, rules } = before;
      const deployment = before.deployments.find(({ deploymentId }) => deploymentId === move.deploymentId);
      if (!deployment) throw new Error('moved what it does not know');
      const { policy, nearId } = deployment;
      const parts = replicas
        .filter(({ deploymentId, nodeId }) => deploymentId === move.deploymentId && nodeId === move.from)
        .slice(0, move.replicas);
      expect(parts).toHaveLength(move.replicas);
      const model = createClusterModel({ nodes, replicas, after: null }, rules);
      for (const part of parts) {
        model.release(part);
        const { service, cpuCores, memoryBytes } = part;
        const request = { name: 'app', replicas: 1, cpuCores, memoryBytes, together: false, policy };
        const { deploymentId } = move;
        expect(model.place({ deploymentId, service, request, only: move.to, nearId }).refusal).toBeNull();
      }
    });
  });

  it('fills no node over what it has, and leaves no rule of a deployment aside', () => {
    holdsForEachMove(({ move: { deploymentId, to }, before, after }) => {
      const filled = fillings(after).get(to);
      expect(filled?.reserved.memoryBytes).toBeLessThanOrEqual(filled?.capacity.memoryBytes ?? 0);
      expect(filled?.reserved.cpuCores).toBeLessThanOrEqual((filled?.capacity.cpuCores ?? 0) + 1e-5);
      const node = after.nodes.find(({ nodeId }) => nodeId === to) ?? aModelNode('none');
      const there = after.replicas.filter(({ nodeId }) => nodeId === to);
      const deployments = new Set(there.map((replica) => replica.deploymentId));
      expect(deployments.size).toBeLessThanOrEqual(after.rules.maxDeploymentsPerNode);
      const deployment =
        after.deployments.find((one) => one.deploymentId === deploymentId) ?? aPlacedDeployment('none');
      const { policy, nearId } = deployment;
      expect(policy.constraints.every((constraint) => meets(node, constraint))).toBe(true);
      expect(nearId === null || countOn(before.replicas, nearId, to) > 0).toBe(true);
      const own = Map.groupBy(
        there.filter((replica) => replica.deploymentId === deploymentId),
        ({ service }) => service,
      );
      const most = policy.maxReplicasPerNode ?? Number.POSITIVE_INFINITY;
      for (const { length } of own.values()) expect(length).toBeLessThanOrEqual(most);
    });
  });

  it('leaves alone what must stay, and keeps together what belongs together', () => {
    holdsForEachMove(({ move, before, after }) => {
      const { deploymentId, from, to, replicas, isWhole } = move;
      const deployment =
        before.deployments.find((one) => one.deploymentId === deploymentId) ?? aPlacedDeployment('none');
      expect(deployment.isMovable).toBe(true);
      expect(rulesFor(before.rules, deployment.policy).strategy).not.toBe('resource-based');
      const nodes = new Map(before.nodes.map((node) => [node.nodeId, node]));
      expect([nodes.get(from)?.ready, nodes.get(to)?.ready]).toEqual([true, true]);
      if (deployment.isBuilt) expect(nodes.get(to)?.architecture).toBe(nodes.get(from)?.architecture);
      expect(isWhole).toBe(deployment.isWhole);
      const whole = before.replicas.filter((one) => one.deploymentId === deploymentId).length;
      if (isWhole) expect(replicas).toBe(whole);
      for (const near of before.deployments.filter(({ nearId }) => nearId === deploymentId)) {
        if (countOn(before.replicas, near.deploymentId, from) === 0) continue;
        expect(countOn(after.replicas, deploymentId, from)).toBeGreaterThan(0);
      }
    });
  });

  it('brings no more replicas together on a node than were on the one that they leave', () => {
    holdsForEachMove(({ move: { deploymentId, from, to }, before, after }) => {
      const most = countOn(before.replicas, deploymentId, from);
      expect(countOn(after.replicas, deploymentId, to)).toBeLessThanOrEqual(most);
    });
  });

  it('leaves what is spread at least as spread', () => {
    fc.assert(
      fc.property(clusters, (question) => {
        const end = carryOut(question);
        for (const { deploymentId, policy } of question.deployments) {
          const rules = rulesFor(question.rules, policy);
          if (rules.strategy !== 'spread') continue;
          const squares = ({ nodes, replicas }: RebalanceQuestion): number => {
            const ready = nodes.filter((node) => node.ready && countOn(replicas, deploymentId, node.nodeId) > 0);
            const domains = Map.groupBy(ready, (node) => domainOf(node, rules));
            const counts = [...domains.values()].map((of) =>
              of.reduce((sum, { nodeId }) => sum + countOn(replicas, deploymentId, nodeId), 0),
            );
            return counts.reduce((sum, count) => sum + count ** 2, 0);
          };
          expect(squares(end)).toBeLessThanOrEqual(squares(question));
        }
      }),
      RUNS,
    );
  });

  it('moves nothing twice', () => {
    fc.assert(
      fc.property(clusters, (question) => {
        const { moves } = planRebalance(question);
        const left = new Set(moves.map(({ deploymentId, from }) => `${deploymentId} ${from}`));
        expect(moves.filter(({ deploymentId, to }) => left.has(`${deploymentId} ${to}`))).toEqual([]);
      }),
      RUNS,
    );
  });

  it('is empty once it is carried out, unless it says that there is more; then it comes to an end', () => {
    fc.assert(
      fc.property(clusters, fc.integer({ min: 1, max: 5 }), (cluster, moves) => {
        let question: RebalanceQuestion = { ...cluster, limits: { moves } };
        for (let round = 0; round < 100; round += 1) {
          const plan = planRebalance(question);
          expect(plan.moves.length).toBeLessThanOrEqual(moves);
          if (plan.moves.length === 0) return;
          question = carryOut(question);
          if (!plan.more) expect(planRebalance(question)).toMatchObject({ moves: [], more: false });
          const now = fillings(question);
          for (const { nodeId, after } of plan.nodes) expect(fullnessOf(now.get(nodeId) as Filling)).toBe(after);
        }
        throw new Error('goes on for ever');
      }),
      RUNS,
    );
  });

  it('is the same in whatever order the cluster is given', () => {
    fc.assert(
      fc.property(clusters, (question) => {
        const { nodes, replicas, deployments } = question;
        const reversed = {
          ...question,
          nodes: nodes.toReversed(),
          replicas: replicas.toReversed(),
          deployments: deployments.toReversed(),
        };
        expect(planRebalance(reversed).moves).toEqual(planRebalance(question).moves);
      }),
      RUNS,
    );
  });
});

describe('moves', () => {
  const two = [aModelNode('a'), aModelNode('b')];
  const one = (changes = {}) => [aPlacedDeployment('one', changes)];

  it('go to a node that has joined, as one where they are of one deployment', () => {
    const question = { nodes: two, replicas: replicasOn('one', { a: 8 }), deployments: one(), rules: RULES };
    const plan = planRebalance(question);
    expect(plan.moves).toEqual([
      {
        ...{ deploymentId: 'one', name: 'app-one', from: 'a', to: 'b', replicas: 4, isWhole: false },
        why: 'a is 50 % full and b 0 %, then 25 % and 25 %',
      },
    ]);
    expect(plan).toMatchObject({
      nodes: [
        { before: 0.5, after: 0.25 },
        { before: 0, after: 0.25 },
      ],
      more: false,
    });
    expect(plan.imbalance.after).toBe(0);
  });

  it('are none where the nodes are even, or where one more would turn it round', () => {
    const deployments = one();
    const even = { nodes: two, replicas: replicasOn('one', { a: 5, b: 4 }), deployments, rules: RULES };
    expect(planRebalance(even)).toMatchObject({ moves: [], more: false });
    const large = replicasOn('one', { a: 1 }, { memoryBytes: 10 * GIB });
    expect(planRebalance({ ...even, replicas: large }).moves).toEqual([]);
  });

  it('take all services of a file at once, and never what may not be moved', () => {
    const file = [
      ...replicasOn('file', { a: 1 }, { service: 'web', memoryBytes: 2 * GIB }),
      ...replicasOn('file', { a: 2 }, { service: 'worker' }),
      ...replicasOn('data', { a: 6 }),
    ];
    const deployments = [aPlacedDeployment('file', { isWhole: true }), aPlacedDeployment('data', { isMovable: false })];
    const plan = planRebalance({ nodes: two, replicas: file, deployments, rules: RULES });
    expect(plan.moves).toMatchObject([{ deploymentId: 'file', from: 'a', to: 'b', replicas: 3, isWhole: true }]);
  });

  it('do not leave a node that is cordoned, nor go to one', () => {
    const replicas = [...replicasOn('one', { a: 8 }), ...replicasOn('two', { b: 4 })];
    const deployments = [...one(), aPlacedDeployment('two')];
    const nodes = [aModelNode('a', { ready: false }), aModelNode('b'), aModelNode('c')];
    expect(planRebalance({ nodes, replicas, deployments, rules: RULES }).moves).toMatchObject([
      { deploymentId: 'two', from: 'b', to: 'c', replicas: 2 },
    ]);
  });

  it('respect constraints, and what is near something', () => {
    const bound = { ...ANYWHERE, constraints: [parseConstraint('', 'node.id!=b')] };
    const replicas = [...replicasOn('one', { a: 4 }), ...replicasOn('near', { a: 4 })];
    const near = aPlacedDeployment('near', { nearId: 'one', policy: { ...ANYWHERE, near: 'app-one' } });
    const all = { nodes: two, replicas, rules: RULES };
    expect(planRebalance({ ...all, deployments: [...one({ policy: bound }), near] }).moves).toEqual([]);
    const { moves } = planRebalance({ ...all, deployments: [...one(), near] });
    expect(moves[0]).toMatchObject({ deploymentId: 'one', to: 'b' });
    expect(moves.map(({ deploymentId }) => deploymentId)).toContain('near');
  });

  it('leave a node from which they can go, although there is a fuller one from which they cannot', () => {
    const replicas = [...replicasOn('one', { a: 1, b: 8, c: 1 }), ...replicasOn('data', { a: 11 })];
    const deployments = [...one(), aPlacedDeployment('data', { isMovable: false })];
    const question = { nodes: [...two, aModelNode('c')], replicas, deployments, rules: RULES };
    expect(planRebalance(question).moves).toMatchObject([{ deploymentId: 'one', from: 'b', to: 'c', replicas: 3 }]);
  });

  it('end at a limit, and it is said that there is more', () => {
    const replicas = ['one', 'two', 'three'].flatMap((id) => replicasOn(id, { a: 3 }, { memoryBytes: 1.5 * GIB }));
    const deployments = ['one', 'two', 'three'].map((id) => aPlacedDeployment(id));
    const question = { nodes: two, replicas, deployments, rules: RULES };
    expect(planRebalance({ ...question, limits: { moves: 1 } })).toMatchObject({ moves: [{}], more: true });
    expect(planRebalance({ ...question, limits: { looks: 3 } }).more).toBe(true);
    expect(planRebalance(question).more).toBe(false);
  });
});
