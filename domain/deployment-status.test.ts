import { describe, expect, it } from 'vitest';
import { deriveStatus, type StatusFacts } from './deployment-status.ts';

const DONE: StatusFacts['operation'] = { kind: 'deploy', state: 'succeeded', errorMessage: '', waitsFor: '' };

const app = (state: 'healthy' | 'exited', exitCode: number | null = null, revision = 1) => {
  return { service: 'app', revision, state, exitCode };
};

function facts(changes: Partial<StatusFacts> = {}): StatusFacts {
  const goal = [{ name: 'app', revision: 1, replicas: 2 }];
  const replicas = [app('healthy'), app('healthy')];
  return { operation: DONE, imageMissing: false, goal, stopped: false, replicas, ...changes };
}

describe('deriveStatus', () => {
  it.each<[string, Partial<StatusFacts>, string]>([
    [
      'is CREATED before its first rollout',
      { operation: { ...DONE, state: 'queued' }, goal: [], replicas: [] },
      'CREATED',
    ],
    [
      'is BUILDING while the image is missing',
      { operation: { ...DONE, state: 'running' }, imageMissing: true },
      'BUILDING',
    ],
    ['is DEPLOYING while an operation runs', { operation: { ...DONE, state: 'running' } }, 'DEPLOYING'],
    ['is RUNNING with all replicas healthy', {}, 'RUNNING'],
    [
      'is STOPPED with no replica wanted',
      { goal: [{ name: 'app', revision: 1, replicas: 0 }], replicas: [] },
      'STOPPED',
    ],
    ['is STOPPED when it was stopped, whatever is wanted of it', { stopped: true, replicas: [] }, 'STOPPED'],
    ['is DEPLOYING while it starts again', { operation: { ...DONE, kind: 'start', state: 'running' } }, 'DEPLOYING'],
    ['is what runs while it is scaled', { operation: { ...DONE, kind: 'scale', state: 'running' } }, 'RUNNING'],
    ['is what runs while it restarts', { operation: { ...DONE, kind: 'restart', state: 'queued' } }, 'RUNNING'],
    ['is RUNNING after a cancelled deploy', { operation: { ...DONE, state: 'cancelled' } }, 'RUNNING'],
    [
      'is FAILED after a cancelled first deploy',
      { operation: { ...DONE, state: 'cancelled' }, goal: [], replicas: [] },
      'FAILED',
    ],
    ['is DELETING under a removal', { operation: { ...DONE, kind: 'remove', state: 'running' } }, 'DELETING'],
  ])('%s', (_, changes, status) => {
    expect(deriveStatus(facts(changes)).status).toBe(status);
  });

  it('is DEGRADED with a part of the replicas, and shows their exit codes', () => {
    const replicas = [app('healthy'), app('exited', 137)];
    const reason = '1 of 2 replicas are healthy, exit codes 137';
    expect(deriveStatus(facts({ replicas }))).toEqual({ status: 'DEGRADED', reason });
  });

  it('never counts replicas of another revision as healthy ones', () => {
    const replicas = [app('healthy', null, 2)];
    expect(deriveStatus(facts({ replicas })).status).toBe('FAILED');
  });

  it('stays RUNNING when a new revision failed, and says why it failed', () => {
    const operation = { ...DONE, state: 'failed', errorMessage: 'r2-0 never listened' } as const;
    expect(deriveStatus(facts({ operation }))).toEqual({ status: 'RUNNING', reason: 'r2-0 never listened' });
  });

  it('says what a deploy waits for', () => {
    const operation = { ...DONE, state: 'waiting', waitsFor: 'a person to approve that it goes on' } as const;
    const reason = 'waits for a person to approve that it goes on';
    expect(deriveStatus(facts({ operation }))).toEqual({ status: 'DEPLOYING', reason });
  });

  it('counts each service by itself', () => {
    const goal = [
      { name: 'app', revision: 1, replicas: 1 },
      { name: 'db', revision: 1, replicas: 1 },
    ];
    const verdict = deriveStatus(facts({ goal, replicas: [app('healthy'), app('healthy')] }));
    expect(verdict).toEqual({ status: 'DEGRADED', reason: '1 of 2 replicas are healthy' });
  });

  it('is FAILED when nothing ever served', () => {
    const operation = { ...DONE, state: 'failed', errorMessage: 'no such image' } as const;
    const verdict = deriveStatus(facts({ operation, goal: [], replicas: [] }));
    expect(verdict).toEqual({ status: 'FAILED', reason: 'no such image' });
  });
});
