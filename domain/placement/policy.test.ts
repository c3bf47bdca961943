import { describe, expect, it } from 'vitest';
import { aPlacementNode } from '../../test/support/placements.ts';
import {
  ANYWHERE,
  allowsSamePlaces,
  describeConstraint,
  meets,
  parseConstraint,
  parsePlacementPolicy,
} from './policy.ts';

const RAW = { ...ANYWHERE, constraints: [] };

describe('a constraint', () => {
  const node = aPlacementNode('node-a', { labels: { region: 'eu' }, hostname: 'one', architecture: 'x86_64' });
  const holds = (text: string): boolean => meets(node, parseConstraint('constraint', text));

  it.each([
    ['node.labels.region==eu', true],
    ['node.labels.region != eu', false],
    ['node.labels.disk==ssd', false],
    ['node.labels.disk!=ssd', true],
    ['node.id==node-a', true],
    ['node.hostname!=one', false],
    ['node.architecture==amd64', true],
    ['node.platform.arch == x86_64', true],
    ['node.labels.constructor==x', false],
    ['node.architecture==constructor', false],
  ])('%s holds: %s', (text, expected) => {
    expect(holds(text)).toBe(expected);
  });

  it.each([
    '',
    'constructor==x',
    '__proto__==x',
    'region==eu',
    'node.role==manager',
    'node.labels.==x',
    'node.id=x',
    'node.id==',
    'node.id==a b',
  ])('is none as %j', (text) => {
    expect(() => parseConstraint('spec.placement.constraints[0]', text)).toThrow(
      /^spec\.placement\.constraints\[0\]: found .*; allowed.*node\.labels\.<name>, then == or !=, then a value/,
    );
  });
});

describe('a policy', () => {
  it('is anywhere where nothing is said', () => {
    expect(parsePlacementPolicy('spec.placement', undefined)).toEqual(ANYWHERE);
    expect(parsePlacementPolicy('spec.placement', RAW)).toEqual(ANYWHERE);
  });

  it('has each constraint once, in one spelling', () => {
    const raw = { ...RAW, constraints: ['node.architecture==arm64', 'node.platform.arch == aarch64'] };
    expect(parsePlacementPolicy('spec.placement', raw).constraints.map(describeConstraint)).toEqual([
      'node.architecture==arm64',
    ]);
  });

  it.each([
    [{ strategy: 'random' }, /^spec\.placement\.strategy: found "random".*least-loaded/],
    [{ spreadLabel: 'region' }, /^spec\.placement\.spread_label: is set with no strategy/],
    [{ strategy: 'spread', spreadLabel: 'Region!' }, /^spec\.placement\.spread_label: found/],
    [{ maxReplicasPerNode: 0 }, /^spec\.placement\.max_replicas_per_node: found 0.*1 to 10000/],
    [{ near: 'Not A Name' }, /^spec\.placement\.near: found/],
    [{ constraints: Array.from({ length: 33 }, () => 'node.id==a') }, /^spec\.placement\.constraints: 33 constraints/],
  ])('is refused as %j', (changes, refusal) => {
    expect(() => parsePlacementPolicy('spec.placement', { ...RAW, ...changes })).toThrow(refusal);
  });

  it('is the same in whatever order its constraints stand', () => {
    const policy = (...constraints: string[]) => parsePlacementPolicy('', { ...RAW, constraints });
    expect(allowsSamePlaces(policy('node.id==a', 'node.id!=b'), policy('node.id!=b', 'node.id==a'))).toBe(true);
    expect(allowsSamePlaces(policy('node.id==a'), undefined)).toBe(false);
    expect(allowsSamePlaces(undefined, ANYWHERE)).toBe(true);
    expect(allowsSamePlaces({ ...ANYWHERE, lostVolumes: 'begin-empty' }, ANYWHERE)).toBe(true);
  });
});
