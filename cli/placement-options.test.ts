import { create, toJson } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { DeploymentSpecSchema, PlacementPolicySchema } from '../gen/obiente/cloud/v1/spec_pb.ts';
import { parseAppFile } from './app-file.ts';
import { type DeployOptions, readWishes } from './deploy-options.ts';
import { wantedSpec } from './wanted-spec.ts';

const IMAGE = { kind: 'image', reference: 'nginx:2' } as const;
const COMPOSE = { kind: 'compose', file: 'services: {}', variables: {}, contexts: {} } as const;

/** What is asked for about places, of a deployment that says some already. */
function placement(options: DeployOptions, app = '', source: typeof IMAGE | typeof COMPOSE = IMAGE) {
  const placement = create(PlacementPolicySchema, { constraints: ['node.labels.disk==ssd'], near: 'cache' });
  const present = create(DeploymentSpecSchema, { placement });
  const wishes = readWishes({ options, app: parseAppFile(app), envFiles: [], env: {} });
  const wanted = wantedSpec({ present, source, wishes }).placement;
  return wanted && toJson(PlacementPolicySchema, wanted);
}

describe('where replicas may go', () => {
  it('stays where nothing is said, and changes in what is named', () => {
    const present = { constraints: ['node.labels.disk==ssd'], near: 'cache' };
    expect(placement({})).toEqual(present);
    expect(placement({ maxPerNode: '1' })).toEqual({ ...present, maxReplicasPerNode: 1 });
    const left = { ...present, lostVolumes: 'LOST_VOLUMES_POLICY_BEGIN_EMPTY' };
    expect(placement({ lostVolumes: 'begin-empty' })).toEqual(left);
    expect(placement({ constraint: ['node.id==a', 'node.id!=b'] })).toEqual({
      ...present,
      constraints: ['node.id==a', 'node.id!=b'],
    });
  });

  it('is spread by what is named, and begins anew with --anywhere and with a file that tells of it', () => {
    const spread = { strategy: 'PLACEMENT_STRATEGY_SPREAD', spreadLabel: 'region' };
    expect(placement({ spreadBy: 'region', anywhere: true })).toEqual(spread);
    expect(placement({}, 'placement: { spreadBy: region }')).toEqual(spread);
    expect(placement({ anywhere: true })).toEqual({});
    expect(placement({ strategy: 'round-robin' }, 'placement: { near: db, constraints: [node.id==a] }')).toEqual({
      strategy: 'PLACEMENT_STRATEGY_ROUND_ROBIN',
      near: 'db',
      constraints: ['node.id==a'],
    });
  });

  it('has no constraints of a Compose file that may have lost them', () => {
    expect(placement({}, '', COMPOSE)).toEqual({ near: 'cache' });
    expect(placement({ constraint: ['node.id==a'] }, '', COMPOSE)).toEqual({
      near: 'cache',
      constraints: ['node.id==a'],
    });
  });

  it('is refused by its option or its place in the file', () => {
    expect(() => placement({ strategy: 'random' })).toThrow(/--strategy: "random" is not allowed; allowed are least-/);
    expect(() => placement({ lostVolumes: 'drop' })).toThrow(/--lost-volumes: "drop" is not allowed; .* wait, begin-e/);
    expect(() => placement({ maxPerNode: '0' })).toThrow(/--max-per-node/);
    expect(() => placement({}, 'placement: { maxPerNode: 0 }')).toThrow(/placement\.maxPerNode/);
  });
});
