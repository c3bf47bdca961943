import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  ANYWHERE,
  allowsSamePlaces,
  describeConstraint,
  type LostVolumes,
  type PlacementPolicy,
  type RawPlacementPolicy,
} from '../../domain/placement/policy.ts';
import type { StrategyName } from '../../domain/placement/strategies.ts';
import {
  LostVolumesPolicy,
  type PlacementPolicySchema,
  PlacementStrategy,
  type PlacementPolicy as WirePolicy,
} from '../../gen/obiente/cloud/v1/spec_pb.ts';

const FROM_STRATEGY: Record<PlacementStrategy, StrategyName | null> = {
  [PlacementStrategy.UNSPECIFIED]: null,
  [PlacementStrategy.LEAST_LOADED]: 'least-loaded',
  [PlacementStrategy.ROUND_ROBIN]: 'round-robin',
  [PlacementStrategy.RESOURCE_BASED]: 'resource-based',
  [PlacementStrategy.SPREAD]: 'spread',
};

const TO_STRATEGY: Record<StrategyName, PlacementStrategy> = {
  'least-loaded': PlacementStrategy.LEAST_LOADED,
  'round-robin': PlacementStrategy.ROUND_ROBIN,
  'resource-based': PlacementStrategy.RESOURCE_BASED,
  spread: PlacementStrategy.SPREAD,
};

const FROM_LOST_VOLUMES: Partial<Record<LostVolumesPolicy, LostVolumes>> = {
  [LostVolumesPolicy.WAIT]: 'wait',
  [LostVolumesPolicy.BEGIN_EMPTY]: 'begin-empty',
};

const TO_LOST_VOLUMES: Record<LostVolumes, LostVolumesPolicy> = {
  wait: LostVolumesPolicy.WAIT,
  'begin-empty': LostVolumesPolicy.BEGIN_EMPTY,
};

/** Takes a policy off the wire, unchecked; `undefined` for one that is not set. */
export function fromWirePlacement(policy: WirePolicy | undefined): RawPlacementPolicy | undefined {
  if (!policy) return undefined;
  const { strategy, spreadLabel, constraints, maxReplicasPerNode = null, near } = policy;
  const lostVolumes = FROM_LOST_VOLUMES[policy.lostVolumes];
  return {
    strategy: FROM_STRATEGY[strategy] ?? null,
    spreadLabel: spreadLabel || null,
    constraints,
    maxReplicasPerNode,
    near: near || null,
    ...(lostVolumes === undefined ? {} : { lostVolumes }),
  };
}

/** Puts a policy on the wire; `undefined` for one that says nothing. */
export function toWirePlacement(
  policy: PlacementPolicy = ANYWHERE,
): MessageInitShape<typeof PlacementPolicySchema> | undefined {
  const { strategy, spreadLabel, constraints, maxReplicasPerNode, near, lostVolumes } = policy;
  if (allowsSamePlaces(policy) && lostVolumes === undefined) return undefined;
  return {
    ...(strategy === null ? {} : { strategy: TO_STRATEGY[strategy] }),
    spreadLabel: spreadLabel ?? '',
    constraints: constraints.map(describeConstraint),
    ...(maxReplicasPerNode === null ? {} : { maxReplicasPerNode }),
    near: near ?? '',
    ...(lostVolumes === undefined ? {} : { lostVolumes: TO_LOST_VOLUMES[lostVolumes] }),
  };
}
