import { describe, expect, it } from 'vitest';
import { barredByMove, leaving } from './move.ts';

const replica = (replicaId: string, nodeId: string, index: number, service = 'app') => {
  return { replicaId, nodeId, index, service };
};
const REPLICAS = [
  replica('r1-3', 'a', 3),
  replica('r1-0', 'a', 0),
  replica('r1-1', 'b', 1),
  replica('r1-2', 'a', 2, 'db'),
];

describe('what a move replaces', () => {
  it('is all on the node that is left', () => {
    expect([...leaving({ from: 'a', to: null, replicas: null }, REPLICAS)]).toEqual(['r1-0', 'r1-3', 'r1-2']);
  });

  it('is so many of each service, lowest index first', () => {
    expect([...leaving({ from: 'a', to: 'b', replicas: 1 }, REPLICAS)]).toEqual(['r1-0', 'r1-2']);
  });

  it('is all that is elsewhere where only the goal is named', () => {
    expect([...leaving({ from: null, to: 'a', replicas: null }, REPLICAS)]).toEqual(['r1-1']);
  });
});

describe('a node that takes what moves', () => {
  it('is any but the one that is left', () => {
    const move = { from: 'a', to: null, replicas: null };
    expect([barredByMove(move, 'a'), barredByMove(move, 'b')]).toEqual(['moved away from', null]);
  });

  it('is the one that is named, where one is', () => {
    const move = { from: null, to: 'b', replicas: null };
    expect([barredByMove(move, 'a'), barredByMove(move, 'b')]).toEqual(['not where it moves to', null]);
    expect(barredByMove({ from: 'a', to: 'b', replicas: 1 }, 'c')).toBe('not where it moves to');
  });
});
