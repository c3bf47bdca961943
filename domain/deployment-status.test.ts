import { describe, expect, it } from 'vitest';
import { deriveStatus as deriveStatusAt, type StatusFacts, type StatusVerdict } from './deployment-status.ts';
import type { ReplicaFacts } from './replica-reason.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');

const DONE: StatusFacts['operation'] = { kind: 'deploy', state: 'succeeded', errorMessage: '', waitsFor: '' };

function deriveStatus(of: StatusFacts): StatusVerdict {
  return deriveStatusAt(of, NOW);
}

function aReplica(changes: Partial<ReplicaFacts> = {}): ReplicaFacts {
  const well = {
    healthReason: '',
    exitCode: null,
    outOfMemory: false,
    restarts: 0,
    nextRestartAt: null,
    gone: false,
  } as const;
  return { replicaId: 'r1-0', service: 'app', revision: 1, state: 'healthy', ...well, ...changes };
}

/** Why a deployment of so many replicas is as it is, when these are not healthy. */
function reasonOf(wanted: number, ...replicas: Partial<ReplicaFacts>[]): string {
  const goal = [{ name: 'app', revision: 1, replicas: wanted }];
  return deriveStatus(facts({ goal, replicas: replicas.map(aReplica) })).reason;
}

function facts(changes: Partial<StatusFacts> = {}): StatusFacts {
  const goal = [{ name: 'app', revision: 1, replicas: 2 }];
  const replicas = [aReplica(), aReplica({ replicaId: 'r1-1' })];
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

  it('is DEGRADED with a part of the replicas, and says what is with the others', () => {
    const nextRestartAt = new Date(NOW + 39_001);
    const exit = { state: 'exited', exitCode: 137, outOfMemory: true, restarts: 6, nextRestartAt } as const;
    const replicas = [aReplica(), aReplica({ replicaId: 'r1-1', ...exit })];
    expect(deriveStatus(facts({ replicas }))).toEqual({
      status: 'DEGRADED',
      reason: '1 of 2 replicas is healthy; r1-1 exited with code 137, out of memory, 6 restarts, next try in 40 s',
    });
  });

  it('is FAILED without a healthy replica', () => {
    const replicas = [aReplica({ state: 'exited', exitCode: 3 })];
    expect(deriveStatus(facts({ replicas, goal: [{ name: 'app', revision: 1, replicas: 1 }] }))).toEqual({
      status: 'FAILED',
      reason: '0 of 1 replica is healthy; r1-0 exited with code 3',
    });
  });

  it('never counts replicas of another revision as healthy ones', () => {
    expect(deriveStatus(facts({ replicas: [aReplica({ revision: 2 })] })).status).toBe('FAILED');
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
    expect(deriveStatus(facts({ goal }))).toEqual({ status: 'DEGRADED', reason: '1 of 2 replicas is healthy' });
  });

  it('is FAILED when nothing ever served', () => {
    const operation = { ...DONE, state: 'failed', errorMessage: 'no such image' } as const;
    const verdict = deriveStatus(facts({ operation, goal: [], replicas: [] }));
    expect(verdict).toEqual({ status: 'FAILED', reason: 'no such image' });
  });
});

describe('the reason', () => {
  const soon = (ms: number) => ({ state: 'exited', exitCode: 1, nextRestartAt: new Date(NOW + ms) }) as const;

  it.each<[string, Partial<ReplicaFacts>, string]>([
    ['is about to be restarted', soon(-5_000), 'r1-0 exited with code 1, next try now'],
    ['waits for seconds', { ...soon(1), restarts: 1 }, 'r1-0 exited with code 1, 1 restart, next try in 1 s'],
    ['waits for minutes', soon(240_000), 'r1-0 exited with code 1, next try in 4 min'],
    ['is done', { state: 'exited', exitCode: 0 }, 'r1-0 exited with code 0'],
    ['exited nobody knows how', { state: 'exited' }, 'r1-0 exited'],
    ['was taken away', { state: 'exited', exitCode: 137, gone: true }, 'r1-0 is gone: its container was removed'],
    ['does not answer', { state: 'unhealthy' }, 'r1-0 is unhealthy'],
    [
      'does not answer, for a reason',
      { state: 'unhealthy', healthReason: 'GET /ready answered 503; allowed is 200 to 399' },
      'r1-0 is unhealthy: GET /ready answered 503; allowed is 200 to 399',
    ],
    ['was unhealthy and starts again', { state: 'starting', healthReason: 'it did not answer' }, 'r1-0 is starting'],
    [
      'comes up',
      { state: 'starting', exitCode: 3, restarts: 2 },
      'r1-0 is starting after 2 restarts, last exit code 3',
    ],
  ])('says of a replica that it %s', (_, replica, expected) => {
    expect(reasonOf(1, replica)).toBe(`0 of 1 replica is healthy; ${expected}`);
  });

  it('names three of many, and none that is on its way out', () => {
    const all = Array.from({ length: 100 }, (_, index) => ({ replicaId: `r1-${index}`, state: 'unhealthy' as const }));
    expect(reasonOf(100, { replicaId: 'x', state: 'removing' }, ...all)).toBe(
      '0 of 100 replicas are healthy; r1-0 is unhealthy; r1-1 is unhealthy; r1-2 is unhealthy; and 97 more',
    );
  });
});
