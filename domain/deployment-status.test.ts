import { describe, expect, it } from 'vitest';
import { deriveStatus, type StatusFacts } from './deployment-status.ts';

const DONE: StatusFacts['operation'] = { kind: 'deploy', state: 'succeeded', errorMessage: '' };

function facts(changes: Partial<StatusFacts> = {}): StatusFacts {
  const replicas = [
    { revision: 1, state: 'healthy', exitCode: null },
    { revision: 1, state: 'healthy', exitCode: null },
  ] as const;
  return { operation: DONE, imageMissing: false, serving: { revision: 1, replicas: 2 }, replicas, ...changes };
}

describe('deriveStatus', () => {
  it.each<[string, Partial<StatusFacts>, string]>([
    [
      'is CREATED before its first rollout',
      { operation: { ...DONE, state: 'queued' }, serving: null, replicas: [] },
      'CREATED',
    ],
    [
      'is BUILDING while the image is missing',
      { operation: { ...DONE, state: 'running' }, imageMissing: true },
      'BUILDING',
    ],
    ['is DEPLOYING while an operation runs', { operation: { ...DONE, state: 'running' } }, 'DEPLOYING'],
    ['is RUNNING with all replicas healthy', {}, 'RUNNING'],
    ['is STOPPED with no replica wanted', { serving: { revision: 1, replicas: 0 }, replicas: [] }, 'STOPPED'],
    ['is DELETING under a removal', { operation: { ...DONE, kind: 'remove', state: 'running' } }, 'DELETING'],
  ])('%s', (_, changes, status) => {
    expect(deriveStatus(facts(changes)).status).toBe(status);
  });

  it('is DEGRADED with a part of the replicas, and shows their exit codes', () => {
    const replicas = [
      { revision: 1, state: 'healthy', exitCode: null },
      { revision: 1, state: 'exited', exitCode: 137 },
    ] as const;
    const reason = '1 of 2 replicas are healthy, exit codes 137';
    expect(deriveStatus(facts({ replicas }))).toEqual({ status: 'DEGRADED', reason });
  });

  it('never counts replicas of another revision as healthy ones', () => {
    const replicas = [{ revision: 2, state: 'healthy', exitCode: null }] as const;
    expect(deriveStatus(facts({ replicas })).status).toBe('FAILED');
  });

  it('stays RUNNING when a new revision failed, and says why it failed', () => {
    const operation = { kind: 'deploy', state: 'failed', errorMessage: 'r2-0 never listened' } as const;
    expect(deriveStatus(facts({ operation }))).toEqual({ status: 'RUNNING', reason: 'r2-0 never listened' });
  });

  it('is FAILED when nothing ever served', () => {
    const operation = { kind: 'deploy', state: 'failed', errorMessage: 'no such image' } as const;
    const verdict = deriveStatus(facts({ operation, serving: null, replicas: [] }));
    expect(verdict).toEqual({ status: 'FAILED', reason: 'no such image' });
  });
});
