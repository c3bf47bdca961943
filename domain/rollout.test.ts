import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nextStep, type RolloutPhase, type RolloutReplica, type RolloutState, type RolloutStep } from './rollout.ts';
import { DEFAULT_ROLLOUT, type RolloutPolicy } from './rollout-policy.ts';

const rolling = (maxSurgePercent: number, maxUnavailablePercent = 0): RolloutPolicy => ({
  strategy: 'rolling',
  maxSurgePercent,
  maxUnavailablePercent,
  approval: false,
});
const recreate: RolloutPolicy = { strategy: 'recreate', approval: false };

function aReplica(replicaId: string, wanted: boolean, phase: RolloutPhase, service = 'app'): RolloutReplica {
  return { replicaId, service, wanted, phase };
}

function aState(changes: Partial<RolloutState>): RolloutState {
  return {
    policy: DEFAULT_ROLLOUT,
    services: [{ name: 'app', replicas: 2 }],
    replicas: [],
    weightPercent: null,
    passed: [],
    ...changes,
  };
}

const old = (count: number, service = 'app'): RolloutReplica[] =>
  Array.from({ length: count }, (_, index) => aReplica(`${service}-old-${index}`, false, 'serving', service));

/** Carries a step out as the real world does when all goes well. */
function perform(state: RolloutState, step: RolloutStep): RolloutState {
  if (step.kind === 'start') {
    const started = step.starts.flatMap(({ service, count }) => {
      const from = state.replicas.filter((replica) => replica.wanted && replica.service === service).length;
      return Array.from({ length: count }, (_, index) =>
        aReplica(`${service}-new-${from + index}`, true, 'ready', service),
      );
    });
    return { ...state, replicas: [...state.replicas, ...started] };
  }
  if (step.kind === 'switch') {
    const moved = state.replicas.map((replica): RolloutReplica => {
      if (step.serve.includes(replica.replicaId)) return { ...replica, phase: 'serving' };
      return step.drain.includes(replica.replicaId) ? { ...replica, phase: 'drained' } : replica;
    });
    return { ...state, replicas: moved, weightPercent: step.weightPercent };
  }
  if (step.kind === 'gate') return { ...state, passed: [...state.passed, step.id] };
  if (step.kind === 'remove') {
    return { ...state, replicas: state.replicas.filter((replica) => !step.replicaIds.includes(replica.replicaId)) };
  }
  return state;
}

/** The whole rollout as a list of words, and every state on its way. */
function play(state: RolloutState): { words: string[]; states: RolloutState[] } {
  const states = [state];
  const words: string[] = [];
  for (let step = nextStep(state); step.kind !== 'done'; step = nextStep(states.at(-1) ?? state)) {
    words.push(describeStep(step));
    states.push(perform(states.at(-1) ?? state, step));
    if (words.length > 1000) throw new Error(`no end: ${words.slice(-5).join('; ')}`);
  }
  return { words, states };
}

function describeStep(step: RolloutStep): string {
  if (step.kind === 'start')
    return `start ${step.starts.map(({ service, count }) => `${count} ${service}`).join(', ')}`;
  if (step.kind === 'gate') return `gate ${step.id}`;
  if (step.kind === 'remove') return `remove ${step.replicaIds.length}`;
  if (step.kind === 'done') return 'done';
  const weight = step.weightPercent === null ? '' : ` at ${step.weightPercent} %`;
  return `switch +${step.serve.length} -${step.drain.length}${weight}`;
}

const shop = [
  { name: 'web', replicas: 2 },
  { name: 'db', replicas: 1, exclusive: true },
];

describe('a rollout', () => {
  it.each<{ name: string; state: Partial<RolloutState>; words: string[] }>([
    { name: 'the first one', state: {}, words: ['start 2 app', 'switch +2 -0'] },
    {
      name: 'a replacement beside the old ones',
      state: { replicas: old(2) },
      words: ['start 2 app', 'switch +2 -2', 'remove 2'],
    },
    {
      name: 'a replacement one by one',
      state: { policy: rolling(50), replicas: old(2) },
      words: ['start 1 app', 'switch +1 -1', 'remove 1', 'start 1 app', 'switch +1 -1', 'remove 1'],
    },
    {
      name: 'a replacement without room for more',
      state: { policy: rolling(0, 50), replicas: old(2) },
      words: ['switch +0 -1', 'remove 1', 'start 1 app', 'switch +1 -1', 'remove 1', 'start 1 app', 'switch +1 -0'],
    },
    {
      name: 'a single replica without room for two',
      state: { policy: rolling(0, 50), services: [{ name: 'app', replicas: 1 }], replicas: old(1) },
      words: ['switch +0 -1', 'remove 1', 'start 1 app', 'switch +1 -0'],
    },
    {
      name: 'one that must never run twice',
      state: { policy: recreate, replicas: old(2) },
      words: ['switch +0 -2', 'remove 2', 'start 2 app', 'switch +2 -0'],
    },
    {
      name: 'one that a person decides about',
      state: { policy: { ...DEFAULT_ROLLOUT, approval: true } as RolloutPolicy, replicas: old(1) },
      words: ['start 2 app', 'gate before-switch', 'switch +2 -1', 'remove 1'],
    },
    {
      name: 'one that keeps the old ones for a while',
      state: { policy: { strategy: 'blue-green', approval: false, keepOldMs: 1000 }, replicas: old(2) },
      words: ['start 2 app', 'switch +2 -2', 'gate keep-old', 'remove 2'],
    },
    {
      name: 'one by growing shares',
      state: {
        policy: {
          strategy: 'canary',
          steps: [
            { weightPercent: 10, gate: { kind: 'approval' } },
            { weightPercent: 50, gate: { kind: 'wait', waitMs: 1 } },
          ],
        },
        services: [{ name: 'app', replicas: 4 }],
        replicas: old(4),
      },
      words: [
        ...['start 1 app', 'switch +1 -0 at 10 %', 'gate canary-0'],
        ...['start 1 app', 'switch +1 -0 at 50 %', 'gate canary-1'],
        ...['start 2 app', 'switch +2 -4', 'remove 4'],
      ],
    },
    {
      name: 'a canary with nothing to compare with',
      state: { policy: { strategy: 'canary', steps: [{ weightPercent: 10, gate: { kind: 'approval' } }] } },
      words: ['start 2 app', 'switch +2 -0'],
    },
    {
      name: 'fewer replicas of the same',
      state: {
        services: [{ name: 'app', replicas: 1 }],
        replicas: [aReplica('a', true, 'serving'), aReplica('b', false, 'serving')],
      },
      words: ['switch +0 -1', 'remove 1'],
    },
    {
      name: 'none at all',
      state: { services: [{ name: 'app', replicas: 0 }], replicas: old(3) },
      words: ['switch +0 -3', 'remove 3'],
    },
    {
      name: 'several services at once',
      state: {
        services: [
          { name: 'web', replicas: 2 },
          { name: 'db', replicas: 1 },
        ],
        replicas: [...old(2, 'web'), ...old(1, 'db')],
      },
      words: ['start 2 web, 1 db', 'switch +3 -3', 'remove 3'],
    },
    {
      name: 'a service that is no longer wanted',
      state: { services: [{ name: 'web', replicas: 1 }], replicas: [...old(1, 'web'), ...old(1, 'worker')] },
      words: ['start 1 web', 'switch +1 -2', 'remove 2'],
    },
    {
      name: 'leftovers of an earlier one',
      state: { replicas: [aReplica('x', false, 'spent'), ...old(2)] },
      words: ['remove 1', 'start 2 app', 'switch +2 -2', 'remove 2'],
    },
    {
      name: 'a return to replicas that still run',
      state: {
        replicas: [
          ...[aReplica('a', true, 'ready'), aReplica('b', true, 'ready')],
          ...[aReplica('new', false, 'serving'), aReplica('half', false, 'spent')],
        ],
      },
      words: ['remove 1', 'switch +2 -1', 'remove 1'],
    },
    {
      name: 'one that writes a volume',
      state: { services: [{ name: 'app', replicas: 1, exclusive: true }], replicas: old(1) },
      words: ['switch +0 -1', 'remove 1', 'start 1 app', 'switch +1 -0'],
    },
    {
      name: 'the first one that writes a volume',
      state: { services: [{ name: 'app', replicas: 1, exclusive: true }] },
      words: ['start 1 app', 'switch +1 -0'],
    },
    {
      name: 'one that writes a volume, beside others',
      state: { services: shop, replicas: [...old(2, 'web'), ...old(1, 'db')] },
      words: ['start 2 web', 'switch +0 -1', 'remove 1', 'start 1 db', 'switch +3 -2', 'remove 2'],
    },
    {
      name: 'one that writes a volume and that a person decides about',
      state: {
        policy: { ...DEFAULT_ROLLOUT, approval: true } as RolloutPolicy,
        services: shop,
        replicas: [...old(2, 'web'), ...old(1, 'db')],
      },
      words: [
        ...['start 2 web', 'gate before-switch', 'switch +0 -1', 'remove 1', 'start 1 db'],
        ...['switch +3 -2', 'remove 2'],
      ],
    },
    {
      name: 'one that writes a volume, beside others that go one by one',
      state: { policy: rolling(50), services: shop, replicas: [...old(2, 'web'), ...old(1, 'db')] },
      words: [
        ...['start 1 web', 'switch +1 -1', 'remove 1', 'start 1 web', 'switch +0 -1', 'remove 1'],
        ...['switch +1 -1', 'remove 1', 'start 1 db', 'switch +1 -0'],
      ],
    },
    {
      name: 'a return to one that writes a volume and has gone already',
      state: {
        services: [{ name: 'web', replicas: 1 }, ...shop.slice(1)],
        replicas: [
          ...[aReplica('web-old', true, 'serving', 'web'), aReplica('web-new', false, 'spent', 'web')],
          aReplica('db-new', false, 'spent', 'db'),
        ],
      },
      words: ['remove 2', 'start 1 db', 'switch +1 -0'],
    },
  ])('goes step by step: $name', ({ state, words }) => {
    expect(play(aState(state)).words).toEqual(words);
  });
});

const gateOf = fc.constantFrom({ kind: 'approval' } as const, { kind: 'wait', waitMs: 1 } as const);
const policies: fc.Arbitrary<RolloutPolicy> = fc.oneof(
  fc
    .tuple(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 0, max: 100 }), fc.boolean())
    .filter(([surge, unavailable]) => surge + unavailable > 0)
    .map(([maxSurgePercent, maxUnavailablePercent, approval]): RolloutPolicy => {
      return { strategy: 'rolling', maxSurgePercent, maxUnavailablePercent, approval };
    }),
  fc.boolean().map((approval): RolloutPolicy => ({ strategy: 'recreate', approval })),
  fc
    .tuple(fc.boolean(), fc.integer({ min: 0, max: 10 }))
    .map(([approval, keepOldMs]): RolloutPolicy => ({ strategy: 'blue-green', approval, keepOldMs })),
  fc.uniqueArray(fc.integer({ min: 1, max: 99 }), { minLength: 1, maxLength: 5 }).chain((weights) =>
    fc.array(gateOf, { minLength: weights.length, maxLength: weights.length }).map((gates): RolloutPolicy => {
      const sorted = [...weights].sort((a, b) => a - b);
      return {
        strategy: 'canary',
        steps: sorted.map((weightPercent, at) => ({ weightPercent, gate: gates[at] ?? { kind: 'approval' } })),
      };
    }),
  ),
);

const phases = fc.constantFrom<RolloutPhase>('serving', 'ready', 'spent', 'drained');
const states: fc.Arbitrary<RolloutState> = fc
  .record({
    policy: policies,
    web: fc.integer({ min: 0, max: 12 }),
    db: fc.option(fc.integer({ min: 0, max: 3 })),
    exclusive: fc.boolean(),
    replicas: fc.array(
      fc.record({ service: fc.constantFrom('web', 'db', 'gone'), wanted: fc.boolean(), phase: phases }),
      { maxLength: 20 },
    ),
  })
  .map(({ policy, web, db, exclusive, replicas: all }) => {
    const services = [
      { name: 'web', replicas: web },
      ...(db === null ? [] : [{ name: 'db', replicas: exclusive ? Math.min(1, db) : db, exclusive }]),
    ];
    const onlyDb = all.find(({ service }) => service === 'db');
    const replicas = exclusive ? all.filter((replica) => replica.service !== 'db' || replica === onlyDb) : all;
    const left = new Map(services.map(({ name, replicas: count }) => [name, count]));
    const placed = replicas.map(({ service, wanted, phase }, index): RolloutReplica => {
      const fits = wanted && (left.get(service) ?? 0) > 0 && (phase === 'serving' || phase === 'ready');
      if (fits) left.set(service, (left.get(service) ?? 0) - 1);
      const own = !fits && phase === 'ready' ? 'spent' : phase;
      return { replicaId: `r-${index}`, service, wanted: fits, phase: own };
    });
    return { policy, services, replicas: placed, weightPercent: null, passed: [] };
  });

const RUNS = { numRuns: Number(process.env.PROPERTY_RUNS ?? 2_000) };

describe('any rollout', () => {
  it('ends with exactly what is wanted serving, and nothing else', () => {
    fc.assert(
      fc.property(states, (state) => {
        const end = play(state).states.at(-1) ?? state;
        for (const { name, replicas } of state.services) {
          const own = end.replicas.filter((replica) => replica.service === name);
          expect(own).toHaveLength(replicas);
          expect(own.every((replica) => replica.wanted && replica.phase === 'serving')).toBe(true);
        }
        expect(end.replicas).toHaveLength(state.services.reduce((sum, { replicas }) => sum + replicas, 0));
        expect(end.weightPercent).toBeNull();
        expect(nextStep(end)).toEqual({ kind: 'done' });
      }),
      RUNS,
    );
  });

  it('never serves with less than it began with or is wanted, but for what may be unavailable', () => {
    fc.assert(
      fc.property(states, (state) => {
        fc.pre(state.policy.strategy !== 'recreate');
        for (const { name, replicas, exclusive } of state.services) {
          if (exclusive) continue;
          const counts = play(state).states.map((at) => servingOf(at, name));
          const unavailable = unavailableOf(state.policy, replicas);
          const floor = Math.min(counts[0] ?? 0, replicas - unavailable);
          for (const count of counts) expect(count).toBeGreaterThanOrEqual(floor);
        }
      }),
      RUNS,
    );
  });

  it('never runs more at a time than the surge allows, beyond what was there', () => {
    fc.assert(
      fc.property(states, (state) => {
        fc.pre(state.policy.strategy === 'rolling' && state.policy.maxSurgePercent < 100);
        const percent = state.policy.strategy === 'rolling' ? state.policy.maxSurgePercent : 0;
        for (const { name, replicas } of state.services) {
          const counts = play(state).states.map((at) => at.replicas.filter(({ service }) => service === name).length);
          const most = Math.max(counts[0] ?? 0, replicas + Math.ceil((replicas * percent) / 100));
          for (const count of counts) expect(count).toBeLessThanOrEqual(most);
        }
      }),
      RUNS,
    );
  });

  it('never runs old and new of one service side by side when it recreates', () => {
    fc.assert(
      fc.property(states, fc.boolean(), (state, approval) => {
        const from: RolloutState = {
          ...state,
          policy: { strategy: 'recreate', approval },
          replicas: state.replicas.filter((replica) => !replica.wanted),
        };
        for (const at of play(from).states) {
          const fresh = at.replicas.some((replica) => replica.wanted);
          expect(fresh && at.replicas.some((replica) => !replica.wanted)).toBe(false);
        }
      }),
      RUNS,
    );
  });

  it('never has two replicas of an exclusive service side by side, under no strategy', () => {
    fc.assert(
      fc.property(states, (state) => {
        fc.pre(state.services.some(({ exclusive }) => exclusive));
        for (const at of play(state).states) {
          expect(at.replicas.filter(({ service }) => service === 'db').length).toBeLessThanOrEqual(1);
        }
      }),
      RUNS,
    );
  });

  it('takes nothing of an exclusive service away before all else that is new is there', () => {
    fc.assert(
      fc.property(states, (state) => {
        const db = state.services.find(({ exclusive }) => exclusive);
        fc.pre(db?.replicas === 1 && (state.policy.strategy === 'rolling' || state.policy.strategy === 'blue-green'));
        const { states: all } = play(state);
        for (const [index, at] of all.entries()) {
          const goes = servingOf(at, 'db') > servingOf(all[index + 1] ?? at, 'db');
          if (!goes) continue;
          const [web] = at.services;
          const present = at.replicas.filter(({ service, wanted }) => service === 'web' && wanted).length;
          expect(present).toBe(web?.replicas);
        }
      }),
      RUNS,
    );
  });

  it('says the same whatever the order in which replicas are listed', () => {
    fc.assert(
      fc.property(states, (state) => {
        const reversed = { ...state, replicas: [...state.replicas].reverse() };
        expect(nextStep(reversed)).toEqual(nextStep(state));
      }),
      RUNS,
    );
  });
});

function servingOf(state: RolloutState, name: string): number {
  return state.replicas.filter(({ service, phase }) => service === name && phase === 'serving').length;
}

function unavailableOf(policy: RolloutPolicy, desired: number): number {
  if (policy.strategy !== 'rolling') return 0;
  const unavailable = Math.floor((desired * policy.maxUnavailablePercent) / 100);
  const surge = Math.ceil((desired * policy.maxSurgePercent) / 100);
  return surge + unavailable > 0 ? unavailable : Math.min(1, desired);
}
