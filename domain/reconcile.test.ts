import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NODE_LABEL } from './container.ts';
import { containerName, LABEL, replicaId } from './naming.ts';
import {
  expectedContainers,
  type Finding,
  planReconcile,
  type ReconcileFacts,
  type RecordedContainer,
  type SeenContainer,
  type Suspicion,
} from './reconcile.ts';

const INSTANCE = 'test';
const DEPLOYMENT = '00000000-0000-4000-8000-00000000000a';

/** A container as the platform makes it. */
function aSeen(id: string, { deploymentId = DEPLOYMENT, index = 0, changes = {}, name = '' } = {}): SeenContainer {
  return {
    id,
    name: name || containerName({ instance: INSTANCE, deploymentId, revision: 1, index }),
    labels: {
      [LABEL.managed]: 'true',
      [LABEL.instance]: INSTANCE,
      [LABEL.deploymentId]: deploymentId,
      [LABEL.revision]: '1',
      [LABEL.replica]: replicaId(1, index),
      [NODE_LABEL.config]: 'c'.repeat(64),
      ...changes,
    },
  };
}

const aRecord = (containerId: string | null, changes: Partial<RecordedContainer> = {}): RecordedContainer => ({
  ...{ deploymentId: DEPLOYMENT, replicaId: 'r1-0', containerId, serving: true },
  ...changes,
});

const someFacts = (changes: Partial<ReconcileFacts>): ReconcileFacts => ({
  ...{ instance: INSTANCE, recorded: [], doomed: [], reported: [], suspicions: {} },
  sight: { kind: 'seen', containers: [], absent: [] },
  ...changes,
});

const sees = (containers: readonly SeenContainer[], absent: readonly string[] = []) =>
  ({ kind: 'seen', containers, absent }) as const;

/** What is found by looks one after the other, each with what the one before has left. */
function looks(...facts: readonly Partial<ReconcileFacts>[]): (readonly Finding[])[] {
  let suspicions: Readonly<Record<string, Suspicion>> = {};
  return facts.map((look) => {
    const plan = planReconcile(someFacts({ ...look, suspicions }));
    suspicions = plan.suspicions;
    return plan.findings;
  });
}

const kinds = (findings: readonly Finding[]) => findings.map(({ kind }) => kind);

describe('a replica’s container', () => {
  const recorded = [aRecord('a')];

  it('that is there is nothing to tell of', () => {
    expect(planReconcile(someFacts({ recorded, sight: sees([aSeen('a')]) }))).toEqual({ findings: [], suspicions: {} });
  });

  it('is gone when its daemon has said so twice in a row', () => {
    const absent = { recorded, sight: sees([], ['a']) };
    const gone = [{ kind: 'gone', containerId: 'a', deploymentId: DEPLOYMENT, replicaId: 'r1-0' }];
    expect(looks(absent, absent)).toEqual([[], gone]);
  });

  it('is not gone for being left out of a list, however often', () => {
    const unlisted = { recorded, sight: sees([]) };
    expect(looks(unlisted, unlisted, unlisted, unlisted)).toEqual([[], [], [], []]);
  });

  it('is not gone while its node says nothing, and silence in between begins the count anew', () => {
    const absent = { recorded, sight: sees([], ['a']) };
    const silent = { recorded, sight: { kind: 'silent' } as const };
    expect(looks(silent, silent, absent, silent, absent).flat()).toEqual([]);
    expect(kinds(looks(absent, silent, absent, absent).flat())).toEqual(['gone']);
  });

  it('is not gone when the list has it, whatever else was answered', () => {
    const both = { recorded, sight: sees([aSeen('a')], ['a']) };
    expect(looks(both, both, both).flat()).toEqual([]);
  });

  it('is nobody’s concern before it serves, or after', () => {
    const absent = { recorded: [aRecord('a', { serving: false })], sight: sees([], ['a']) };
    expect(looks(absent, absent, absent).flat()).toEqual([]);
  });
});

describe('a container that no record owns', () => {
  const stray = { sight: sees([aSeen('s')]) };

  it('is reported at the second look, and once', () => {
    expect(looks(stray, stray).map(kinds)).toEqual([[], ['orphan']]);
    expect(looks({ ...stray, reported: ['s'] }, { ...stray, reported: ['s'] }).flat()).toEqual([]);
  });

  it('is none when its record came in between', () => {
    expect(looks(stray, { ...stray, recorded: [aRecord('s')] }).flat()).toEqual([]);
    expect(looks(stray, { ...stray, recorded: [aRecord(null, { serving: false })] }).flat()).toEqual([]);
  });

  it('is none when its node is to remove it anyway', () => {
    const doomed = { ...stray, doomed: [{ deploymentId: DEPLOYMENT, replicaId: 'r1-0' }] };
    expect(looks(doomed, doomed).flat()).toEqual([]);
  });

  it('is cleared once its daemon says that it does not exist', () => {
    const reported = ['s'];
    expect(looks({ reported, sight: sees([]) }).flat()).toEqual([]);
    expect(looks({ reported, sight: { kind: 'silent' } }).flat()).toEqual([]);
    expect(looks({ reported, sight: sees([], ['s']) }).flat()).toEqual([{ kind: 'cleared', containerId: 's' }]);
  });

  it('of another installation is not looked at', () => {
    const foreign = { sight: sees([aSeen('s', { changes: { [LABEL.instance]: 'other' } })]) };
    expect(looks(foreign, foreign).flat()).toEqual([]);
  });
});

describe('a forged container', () => {
  const forged = (container: SeenContainer, recorded: readonly RecordedContainer[] = []) => {
    const look = { recorded, sight: sees([container]) };
    return looks(look, look)[1];
  };

  it.each<[string, SeenContainer, string]>([
    ['name', aSeen('f', { name: 'mine' }), 'its name is not obiente-test-0000000000004000800000000000000a-r1-0'],
    ['deployment', aSeen('f', { changes: { [LABEL.deploymentId]: "x' OR 1=1" } }), 'its deployment is no id'],
    ['replica', aSeen('f', { changes: { [LABEL.replica]: 'r1-01' } }), 'its replica is no id'],
    ['revision', aSeen('f', { changes: { [LABEL.revision]: '2' } }), 'its revision is not its replica’s'],
    ['configuration', aSeen('f', { changes: { [NODE_LABEL.config]: '' } }), 'it says not what it was made of'],
  ])('is told by its %s', (_, container, reason) => {
    expect(forged(container)).toMatchObject([{ kind: 'forged', containerId: 'f', reason }]);
  });

  it('is one that claims to be a replica which serves from another container', () => {
    const found = forged(aSeen('f'), [aRecord('a')]);
    expect(found).toMatchObject([{ kind: 'forged', containerId: 'f', reason: `r1-0 of ${DEPLOYMENT} is container a` }]);
  });

  it('does not hide that the replica’s own container is gone', () => {
    const look = { recorded: [aRecord('a')], sight: sees([aSeen('f')], ['a']) };
    expect(kinds(looks(look, look)[1] ?? [])).toEqual(['gone', 'forged']);
  });
});

it('a look asks by id for what is recorded and for what was reported, each once', () => {
  const recorded = [aRecord('b'), aRecord(null, { serving: false }), aRecord('a')];
  expect(expectedContainers({ recorded, reported: ['s', 'a'] })).toEqual(['a', 'b', 's']);
});

/** More runs for a long check: `PROPERTY_RUNS=100000`. */
const RUNS = { numRuns: Number(process.env.PROPERTY_RUNS ?? 500) };

const NODES = ['n0', 'n1', 'n2'];

/** What goes wrong on a node in one round. */
interface Fault {
  readonly node: number;
  readonly kind: 'silent' | 'empty-list' | 'unanswered' | 'removed' | 'orphan' | 'forged';
  readonly pick: number;
}

/** Three nodes with what runs there, and what is recorded of it. */
class World {
  readonly wanted: ReadonlyMap<string, number>;
  readonly running = new Map<
    string,
    { readonly node: string; readonly container: SeenContainer; readonly ours: boolean }
  >();
  readonly reported = new Map<string, string[]>(NODES.map((node) => [node, []]));
  readonly suspicions = new Map<string, Readonly<Record<string, Suspicion>>>();
  /** Looks in a row at which a node in health said 404 for an id. */
  readonly saidAbsent = new Map<string, number>();
  records: (RecordedContainer & { readonly node: string })[] = [];
  #made = 0;
  #down = new Set<string>();

  constructor(replicas: readonly number[]) {
    this.wanted = new Map(replicas.map((count, index) => [DEPLOYMENT.replace(/a$/, String(index)), count]));
    for (const [deploymentId, count] of this.wanted) for (let i = 0; i < count; i += 1) this.#start(deploymentId);
  }

  #start(deploymentId: string): void {
    const up = NODES.filter((node) => !this.#down.has(node));
    const node = up[this.#made % Math.max(1, up.length)];
    if (node === undefined) return;
    const index = this.#made;
    const id = this.#id('c');
    this.running.set(id, { node, container: aSeen(id, { deploymentId, index }), ours: true });
    this.records.push({ node, deploymentId, replicaId: replicaId(1, index), containerId: id, serving: true });
  }

  #id(kind: string): string {
    this.#made += 1;
    return `${kind}${String(this.#made).padStart(63, '0')}`;
  }

  #strange(node: string, kind: 'orphan' | 'forged', pick: number): void {
    const [deploymentId = ''] = [...this.wanted.keys()];
    const id = this.#id('x');
    const index = kind === 'orphan' ? 100_000 + this.#made : pick;
    const container = aSeen(id, { deploymentId, index, ...(kind === 'forged' ? { name: `f${id}` } : {}) });
    this.running.set(id, { node, container, ours: false });
  }

  /** One look at each node, and what follows. */
  round(faults: readonly Fault[]): Finding[] {
    const of = (node: string) => faults.filter((fault) => NODES[fault.node] === node);
    this.#down = new Set(NODES.filter((node) => of(node).some(({ kind }) => kind === 'silent')));
    for (const { node, kind, pick } of faults) {
      const there = [...this.running].filter(([, one]) => one.node === NODES[node]);
      if (kind === 'removed' && there.length > 0) this.running.delete(there[pick % there.length]?.[0] ?? '');
      if (kind === 'orphan' || kind === 'forged') this.#strange(NODES[node] ?? '', kind, pick);
    }
    const found = NODES.map((node) => [node, this.#look(node, of(node))] as const);
    return found.flatMap(([node, findings]) => {
      this.#apply(node, findings);
      return findings;
    });
  }

  #look(node: string, faults: readonly Fault[]): readonly Finding[] {
    const recorded = this.records.filter((record) => record.node === node);
    const reported = this.reported.get(node) ?? [];
    const expected = expectedContainers({ recorded, reported });
    const there = [...this.running.values()].filter((one) => one.node === node).map(({ container }) => container);
    const isSilent = this.#down.has(node);
    const containers = faults.some(({ kind }) => kind === 'empty-list') ? [] : there;
    const unanswered = new Set(
      faults.filter(({ kind }) => kind === 'unanswered').map(({ pick }) => expected[pick % expected.length]),
    );
    const absent = expected.filter((id) => !this.running.has(id) && !unanswered.has(id));
    for (const id of expected) {
      this.saidAbsent.set(id, !isSilent && absent.includes(id) ? (this.saidAbsent.get(id) ?? 0) + 1 : 0);
    }
    const sight = isSilent ? ({ kind: 'silent' } as const) : sees(containers, absent);
    const suspicions = this.suspicions.get(node) ?? {};
    const plan = planReconcile({ instance: INSTANCE, recorded, doomed: [], reported, sight, suspicions });
    if (isSilent) expect(plan).toEqual({ findings: [], suspicions: {} });
    this.suspicions.set(node, plan.suspicions);
    return plan.findings;
  }

  /** Heals and reports, as the platform does: nothing is ever removed for a finding. */
  #apply(node: string, findings: readonly Finding[]): void {
    for (const finding of findings) {
      const { containerId } = finding;
      const reported = this.reported.get(node) ?? [];
      if (finding.kind === 'gone') {
        expect(this.running.has(containerId)).toBe(false);
        expect(this.saidAbsent.get(containerId)).toBeGreaterThanOrEqual(2);
        const others = this.records.filter((record) => record.containerId !== containerId);
        if (NODES.every((one) => this.#down.has(one))) continue;
        expect(others).toHaveLength(this.records.length - 1);
        this.records = others;
        this.#start(finding.deploymentId);
      } else if (finding.kind === 'cleared') {
        this.reported.set(
          node,
          reported.filter((id) => id !== containerId),
        );
      } else {
        expect(this.running.get(containerId)?.ours ?? false).toBe(false);
        expect(reported).not.toContain(containerId);
        this.reported.set(node, [...reported, containerId]);
      }
    }
  }

  /** Of each deployment: how many replicas are recorded, and how many of its containers run. */
  counts(): { readonly wanted: number; readonly recorded: number; readonly running: number }[] {
    return [...this.wanted].map(([deploymentId, wanted]) => ({
      wanted,
      recorded: this.records.filter((record) => record.deploymentId === deploymentId).length,
      running: [...this.running.values()].filter(
        ({ ours, container }) => ours && container.labels[LABEL.deploymentId] === deploymentId,
      ).length,
    }));
  }
}

const fault: fc.Arbitrary<Fault> = fc.record({
  node: fc.nat(NODES.length - 1),
  kind: fc.constantFrom('silent', 'empty-list', 'unanswered', 'removed', 'orphan', 'forged'),
  pick: fc.nat(5),
});
const replicas = fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 3 });
const harm = fc.array(fc.array(fault, { maxLength: 4 }), { maxLength: 6 });

describe('any cluster', () => {
  it('never runs more than is wanted, takes nothing for gone that is there, and gives no stranger a record', () => {
    fc.assert(
      fc.property(replicas, harm, (counts, rounds) => {
        const world = new World(counts);
        for (const faults of rounds) {
          world.round(faults);
          for (const { wanted, recorded, running } of world.counts()) {
            expect(recorded).toBe(wanted);
            expect(running).toBeLessThanOrEqual(wanted);
          }
          for (const { containerId } of world.records) {
            expect(world.running.get(containerId ?? '')?.ours ?? true).toBe(true);
          }
        }
      }),
      RUNS,
    );
  });

  it('is whole three rounds after the last failure, and then a round finds nothing', () => {
    fc.assert(
      fc.property(replicas, harm, (counts, rounds) => {
        const world = new World(counts);
        for (const faults of rounds) world.round(faults);
        for (let round = 0; round < 3; round += 1) world.round([]);
        for (const { wanted, recorded, running } of world.counts())
          expect([recorded, running]).toEqual([wanted, wanted]);
        expect(world.round([])).toEqual([]);
        const strange = [...world.running].filter(([, { ours }]) => !ours).map(([id]) => id);
        expect([...world.reported.values()].flat().sort()).toEqual(strange.sort());
      }),
      RUNS,
    );
  });

  it('has nothing removed for what is not known: each finding is one of the four', () => {
    fc.assert(
      fc.property(replicas, harm, (counts, rounds) => {
        const world = new World(counts);
        for (const faults of rounds) {
          const before = new Set(world.running.keys());
          const took = faults.filter(({ kind }) => kind === 'removed').length;
          const findings = world.round(faults);
          expect(kinds(findings).every((kind) => /^(gone|orphan|forged|cleared)$/.test(kind))).toBe(true);
          expect([...before].filter((id) => !world.running.has(id)).length).toBeLessThanOrEqual(took);
        }
      }),
      RUNS,
    );
  });
});
