import { describe, expect, it } from 'vitest';
import { areTold, type FaultCourse, judge, type Told } from './judge.ts';

const [deployment, nodeId] = ['deployment-1', 'node-1'];

function told(rule: string, subject: string, kind: 'fired' | 'resolved', atMs: number): Told {
  return { id: `${rule}-${subject}-${kind}-${atMs}`, event: `alert.${kind}`, rule, subject, atMs };
}

/** A node is lost, on which a deployment is that goes nowhere else. */
function aCourse(changes: Partial<FaultCourse> = {}): FaultCourse {
  return {
    ...{ rules: ['node-lost', 'volumes-on-lost-node'], also: ['replica-down'], deployments: [deployment], nodeId },
    ...{ harmedAtMs: 0, healedAtMs: 50_000 },
    alerts: [
      { id: 'a', rule: 'node-lost', subject: nodeId },
      { id: 'b', rule: 'volumes-on-lost-node', subject: deployment },
    ],
    told: [
      told('node-lost', nodeId, 'fired', 11_000),
      told('volumes-on-lost-node', deployment, 'fired', 12_000),
      told('volumes-on-lost-node', deployment, 'resolved', 61_000),
      told('node-lost', nodeId, 'resolved', 62_000),
    ],
    ...changes,
  };
}

describe('the judgement of a fault', () => {
  it('holds when all that had to fire did, once, was told, and ended', () => {
    const { breaks, outcomes } = judge(aCourse());
    expect(breaks).toEqual([]);
    expect(outcomes).toMatchObject([
      { rule: 'node-lost', subjects: 1, fired: 1, toldFired: 1, toldAfterMs: 11_000, resolvedAfterMs: 12_000 },
      { rule: 'volumes-on-lost-node', toldAfterMs: 12_000, resolvedAfterMs: 11_000 },
    ]);
    expect(areTold('alert.resolved', ['node-lost'], aCourse())).toBe(true);
  });

  it('does not hold when something fired that the fault does not explain', () => {
    const more = { id: 'c', rule: 'node-disk', subject: nodeId };
    expect(judge(aCourse({ alerts: [...aCourse().alerts, more] })).breaks).toEqual([
      'node-disk fired, which this fault does not explain',
    ]);
  });

  it('does not hold when something flapped, was told again, or of nobody', () => {
    const again = [told('node-lost', nodeId, 'fired', 70_000), told('node-lost', nodeId, 'resolved', 80_000)];
    expect(judge(aCourse({ told: [...aCourse().told, ...again] })).breaks[0]).toContain('fired 1 times and was told');
    const [first] = aCourse().told;
    expect(judge(aCourse({ told: [...aCourse().told, ...(first ? [first] : [])] })).breaks).toContain(
      '1 messages came more than once',
    );
    const silent = aCourse({ alerts: [], told: [] });
    expect(judge(silent).breaks).toHaveLength(2);
    expect(areTold('alert.fired', silent.rules, silent)).toBe(false);
  });

  it('lets what is explained end as well, and once', () => {
    const down = { id: 'c', rule: 'replica-down', subject: deployment };
    const begun = aCourse({
      alerts: [...aCourse().alerts, down],
      told: [...aCourse().told, told('replica-down', deployment, 'fired', 5)],
    });
    expect(judge(begun).breaks).toHaveLength(1);
    const ended = aCourse({ ...begun, told: [...begun.told, told('replica-down', deployment, 'resolved', 70_000)] });
    expect(judge(ended).breaks).toEqual([]);
  });
});
