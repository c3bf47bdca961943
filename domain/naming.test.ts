import { describe, expect, it } from 'vitest';
import { parseReplicaId, replicaId } from './naming.ts';

describe('a replica id', () => {
  it('is read as it is written, and in no other spelling', () => {
    expect(parseReplicaId(replicaId(12, 3))).toEqual({ revision: 12, index: 3 });
    const others = [
      '',
      'r1',
      'r1-',
      'r-1',
      'r01-0',
      'r1-00',
      'r1-0 ',
      'R1-0',
      'r1-0-0',
      'r0-0',
      `r${'9'.repeat(10)}-0`,
    ];
    expect(others.map(parseReplicaId)).toEqual(others.map(() => undefined));
  });
});
