import { describe, expect, it } from 'vitest';
import type { LocatedReplica } from '../adapters/postgres/located-replicas.ts';
import { createToldReplicas } from './told-replicas.ts';

const aReplica = (deploymentId: string, replicaId: string, state = 'healthy') =>
  ({ deploymentId, replicaId, state }) as LocatedReplica;

describe('what a stream has told', () => {
  it('is no news the second time, and news again when anything of it differs', () => {
    const told = createToldReplicas();
    expect(told.beginReading(undefined).isNews(aReplica('a', 'r1-0'))).toBe(true);
    expect(told.beginReading(undefined).isNews(aReplica('a', 'r1-0'))).toBe(false);
    expect(told.beginReading(['a']).isNews(aReplica('a', 'r1-0', 'exited'))).toBe(true);
    expect(told.size()).toBe(1);
  });

  it('is missing when a reading of its deployment does not see it, and forgotten then', () => {
    const told = createToldReplicas();
    const first = told.beginReading(undefined);
    for (const [deployment, replica] of [
      ['a', 'r1-0'],
      ['a', 'r1-1'],
      ['b', 'r1-0'],
    ] as const) {
      first.isNews(aReplica(deployment, replica));
    }
    expect(first.takeMissing()).toEqual([]);
    const ofOne = told.beginReading(['a', 'unknown']);
    ofOne.isNews(aReplica('a', 'r1-1'));
    expect(ofOne.takeMissing()).toEqual([{ deploymentId: 'a', replicaId: 'r1-0' }]);
    expect(told.size()).toBe(2);
    expect(told.beginReading(undefined).takeMissing()).toEqual([
      { deploymentId: 'a', replicaId: 'r1-1' },
      { deploymentId: 'b', replicaId: 'r1-0' },
    ]);
    expect(told.size()).toBe(0);
  });
});
