import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nextStep, type RolloutPhase, type RolloutReplica, type RolloutState } from './rollout.ts';

const NEW = 2;

function aReplica(replicaId: string, phase: RolloutPhase, revision = 1): RolloutReplica {
  return { replicaId, revision, phase };
}

function aRollout(state: Partial<RolloutState> = {}): RolloutState {
  return { revision: NEW, desired: 1, surge: 1, unstarted: ['r2-0'], replicas: [], ...state };
}

/** Carries a step out as an unharmed cluster would: what is started becomes ready. */
function apply(state: RolloutState, step: ReturnType<typeof nextStep>): RolloutState {
  if (step.kind === 'start') {
    const started = step.replicaIds.map((id) => aReplica(id, 'ready', NEW));
    return {
      ...state,
      unstarted: state.unstarted.filter((id) => !step.replicaIds.includes(id)),
      replicas: [...state.replicas, ...started],
    };
  }
  if (step.kind === 'switch') {
    const phaseOf = (replica: RolloutReplica): RolloutPhase => {
      if (step.serve.includes(replica.replicaId)) return 'serving';
      return step.drain.includes(replica.replicaId) ? 'drained' : replica.phase;
    };
    return { ...state, replicas: state.replicas.map((replica) => ({ ...replica, phase: phaseOf(replica) })) };
  }
  if (step.kind === 'remove') {
    return { ...state, replicas: state.replicas.filter((replica) => !step.replicaIds.includes(replica.replicaId)) };
  }
  return state;
}

function serving(state: RolloutState): number {
  return state.replicas.filter((replica) => replica.phase === 'serving').length;
}

const rollouts = fc
  .record({
    desired: fc.integer({ min: 0, max: 12 }),
    surge: fc.integer({ min: 1, max: 12 }),
    old: fc.array(fc.constantFrom<RolloutPhase>('starting', 'serving', 'drained'), { maxLength: 12 }),
  })
  .map(({ desired, surge, old }) =>
    aRollout({
      desired,
      surge,
      unstarted: Array.from({ length: desired }, (_, index) => `r2-${index}`),
      replicas: old.map((phase, index) => aReplica(`r1-${index}`, phase)),
    }),
  );

describe('nextStep', () => {
  it('starts the first replica of a new deployment, then routes to it, then is done', () => {
    const first = nextStep(aRollout());
    expect(first).toEqual({ kind: 'start', replicaIds: ['r2-0'] });
    const second = apply(aRollout(), first);
    expect(nextStep(second)).toEqual({ kind: 'switch', serve: ['r2-0'], drain: [] });
    expect(nextStep(apply(second, nextStep(second)))).toEqual({ kind: 'done' });
  });

  it('keeps the old replica in the routes until the new one is ready', () => {
    const old = aReplica('r1-0', 'serving');
    expect(nextStep(aRollout({ replicas: [old] }))).toEqual({ kind: 'start', replicaIds: ['r2-0'] });
    const ready = aRollout({ unstarted: [], replicas: [old, aReplica('r2-0', 'ready', NEW)] });
    expect(nextStep(ready)).toEqual({ kind: 'switch', serve: ['r2-0'], drain: ['r1-0'] });
  });

  it('takes everything away when nothing is wanted', () => {
    const state = aRollout({ desired: 0, unstarted: [], replicas: [aReplica('r1-0', 'serving')] });
    expect(nextStep(state)).toEqual({ kind: 'switch', serve: [], drain: ['r1-0'] });
  });

  it('always converges on exactly the wanted replicas, all serving', () => {
    fc.assert(
      fc.property(rollouts, (initial) => {
        let state = initial;
        for (let step = nextStep(state), n = 0; step.kind !== 'done'; step = nextStep(state), n += 1) {
          expect(n).toBeLessThan(200);
          state = apply(state, step);
        }
        expect(state.replicas.every((replica) => replica.revision === NEW && replica.phase === 'serving')).toBe(true);
        expect(state.replicas).toHaveLength(state.desired);
      }),
    );
  });

  it('never lets fewer replicas serve than before, unless fewer are wanted', () => {
    fc.assert(
      fc.property(rollouts, (initial) => {
        const floor = Math.min(serving(initial), initial.desired);
        let state = initial;
        for (let step = nextStep(state); step.kind !== 'done'; step = nextStep(state)) {
          state = apply(state, step);
          expect(serving(state)).toBeGreaterThanOrEqual(floor);
        }
      }),
    );
  });

  it('never has more replicas than wanted plus the surge, once it has started one', () => {
    fc.assert(
      fc.property(rollouts, (initial) => {
        let state = initial;
        for (let step = nextStep(state); step.kind !== 'done'; step = nextStep(state)) {
          state = apply(state, step);
          if (step.kind === 'start') expect(state.replicas.length).toBeLessThanOrEqual(state.desired + state.surge);
        }
      }),
    );
  });
});
