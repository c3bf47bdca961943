import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NODE_LABEL } from '../container.ts';
import { containerName, LABEL, networkName, ownedLabels, replicaLabels } from '../naming.ts';
import { decideOrphans, judgeThing, type LabelledThing, type OwnableThing } from './orphans.ts';

const INSTANCE = 'abcd1234';
const NOW_MS = Date.parse('2026-01-01T00:00:00Z');
const RULES = { instance: INSTANCE, graceMs: 300_000, nowMs: NOW_MS };

/** A container as the platform makes it, ten minutes old. */
function aContainer(changes: Partial<LabelledThing> = {}, labels: Record<string, string | undefined> = {}) {
  const replica = { instance: INSTANCE, deploymentId: randomUUID(), revision: 3, index: 0 };
  const more = { projectId: randomUUID(), service: 'app', serviceName: 'app', operationId: randomUUID() };
  const all = { ...replicaLabels({ ...replica, ...more }), [NODE_LABEL.config]: 'a'.repeat(64), ...labels };
  return {
    ...{ kind: 'container' as const, id: 'f'.repeat(64), name: containerName(replica), createdAtMs: NOW_MS - 600_000 },
    labels: Object.fromEntries(
      Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
    ),
    ...changes,
  };
}

function aNetwork(changes: Partial<LabelledThing> = {}, deploymentId?: string) {
  const projectId = randomUUID();
  const owner = { instance: INSTANCE, projectId, ...(deploymentId === undefined ? {} : { deploymentId }) };
  const name = networkName(INSTANCE, deploymentId ?? projectId);
  const times = { createdAtMs: NOW_MS - 600_000 };
  return { kind: 'network' as const, id: 'e'.repeat(64), name, labels: ownedLabels(owner), ...times, ...changes };
}

describe('what may be an orphan', () => {
  it('is a container that the platform made, and a network of a project or a deployment', () => {
    const container = aContainer();
    expect(judgeThing(container, RULES).thing).toEqual({
      ...{ kind: 'container', id: container.id, name: container.name, replicaId: 'r3-0' },
      ownerId: container.labels[LABEL.deploymentId],
    });
    const ofProject = aNetwork();
    expect(judgeThing(ofProject, RULES).thing).toMatchObject({
      ownerId: ofProject.labels[LABEL.projectId],
      replicaId: '',
    });
    const deploymentId = randomUUID();
    expect(judgeThing(aNetwork({}, deploymentId), RULES).thing?.ownerId).toBe(deploymentId);
  });

  it('is older than the grace', () => {
    expect(judgeThing(aContainer({ createdAtMs: NOW_MS - 299_999 }), RULES).stays).toBe('young');
    expect(judgeThing(aContainer({ createdAtMs: NOW_MS - 300_000 }), RULES).stays).toBeUndefined();
    expect(judgeThing(aNetwork({ createdAtMs: NOW_MS + 60_000 }), RULES).stays).toBe('young');
  });

  it('is of this installation', () => {
    expect(judgeThing(aContainer({}, { [LABEL.instance]: 'zzzz9999' }), RULES).stays).toBe('other-installation');
    expect(judgeThing(aContainer({}, { [LABEL.instance]: undefined }), RULES).stays).toBe('other-installation');
  });

  it.each([
    ['another name', aContainer({ name: 'postgres' })],
    ['no name', aContainer({ name: '' })],
    ['the name of another replica', aContainer({}, { [LABEL.replica]: 'r3-1' })],
    ['the name of another deployment', aContainer({}, { [LABEL.deploymentId]: randomUUID() })],
    ['another revision', aContainer({}, { [LABEL.revision]: '4' })],
    ['a deployment that is no id', aContainer({}, { [LABEL.deploymentId]: "x' or true" })],
    ['no mark that it is managed', aContainer({}, { [LABEL.managed]: undefined })],
    ['no hash of what it was made from', aContainer({}, { [NODE_LABEL.config]: undefined })],
    ['a replica id in another spelling', aContainer({}, { [LABEL.replica]: 'r03-0' })],
    ['a network with another name', aNetwork({ name: 'bridge' })],
    ['a network without an owner', aNetwork({ labels: { [LABEL.instance]: INSTANCE, [LABEL.managed]: 'true' } })],
  ])('is nothing with %s: that was made by somebody else', (_, thing) => {
    expect(judgeThing(thing, RULES).stays).toBe('forged');
  });

  it('is no helper that a node made for a copy of a volume', () => {
    const labels = { [LABEL.managed]: 'true', [LABEL.instance]: INSTANCE };
    expect(judgeThing(aContainer({ labels, name: `obiente-${INSTANCE}-read-x` }), RULES).stays).toBe('own-work');
  });

  it('never follows from any labels and name but those that the platform makes', () => {
    const texts = fc.oneof(fc.string(), fc.constantFrom('true', INSTANCE, 'r1-0', '1', randomUUID(), 'a'.repeat(64)));
    const labels = fc.dictionary(fc.constantFrom(...Object.values(LABEL), NODE_LABEL.config), texts);
    fc.assert(
      fc.property(fc.constantFrom('container' as const, 'network' as const), texts, labels, (kind, name, labels) => {
        const { thing } = judgeThing({ kind, id: 'f'.repeat(64), name, labels, createdAtMs: 0 }, RULES);
        expect(thing).toBeUndefined();
      }),
      { numRuns: 500 },
    );
  });
});

describe('the decision', () => {
  const things = fc.uniqueArray(
    fc.record<OwnableThing>({
      kind: fc.constantFrom('container', 'network'),
      id: fc.stringMatching(/^[0-9a-f]{64}$/),
      name: fc.string(),
      ownerId: fc.uuid(),
      replicaId: fc.constantFrom('', 'r1-0'),
    }),
    { selector: ({ id }) => id, maxLength: 40 },
  );

  it('is about everything that no record owns, and nothing else, in whatever order it was listed', () => {
    fc.assert(
      fc.property(things, fc.func(fc.boolean()), (all, isOwned) => {
        const { orphans, owned } = decideOrphans(all, isOwned);
        expect(orphans.length + owned).toBe(all.length);
        expect(orphans.some((orphan) => isOwned(orphan))).toBe(false);
        expect(decideOrphans(all.toReversed(), isOwned)).toEqual(decideOrphans(all, isOwned));
        expect(decideOrphans(orphans, isOwned).orphans).toEqual(orphans);
      }),
    );
  });

  it('is that nothing goes when more is without a record than with one, unless it is little', () => {
    const many = (count: number): OwnableThing[] =>
      Array.from({ length: count }, (_, index) => {
        return { kind: 'container', id: String(index).padStart(64, '0'), name: '', ownerId: '', replicaId: 'r1-0' };
      });
    const isTooMany = (orphans: number, owned: number) =>
      decideOrphans(many(orphans + owned), ({ id }) => Number(id) < owned).isTooMany;
    expect([isTooMany(10, 0), isTooMany(11, 0), isTooMany(11, 10), isTooMany(11, 11), isTooMany(100, 99)]).toEqual([
      ...[false, true, true, false, true],
    ]);
  });
});
