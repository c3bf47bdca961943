import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  ANYWHERE,
  describeConstraint,
  isSamePolicy,
  type PlacementPolicy,
  type RawPlacementPolicy,
} from '../../domain/placement/policy.ts';
import type { StrategyName } from '../../domain/placement/strategies.ts';
import {
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

/** Takes a policy off the wire, unchecked; `undefined` for one that is not set. */
export function fromWirePlacement(policy: WirePolicy | undefined): RawPlacementPolicy | undefined {
  if (!policy) return undefined;
  const { strategy, spreadLabel, constraints, maxReplicasPerNode = null, near } = policy;
  return {
    strategy: FROM_STRATEGY[strategy] ?? null,
    spreadLabel: spreadLabel || null,
    constraints,
    maxReplicasPerNode,
    near: near || null,
  };
}

/** Puts a policy on the wire; `undefined` for one that says nothing. */
export function toWirePlacement(
  policy: PlacementPolicy = ANYWHERE,
): MessageInitShape<typeof PlacementPolicySchema> | undefined {
  if (isSamePolicy(policy)) return undefined;
  const { strategy, spreadLabel, constraints, maxReplicasPerNode, near } = policy;
  return {
    ...(strategy === null ? {} : { strategy: TO_STRATEGY[strategy] }),
    spreadLabel: spreadLabel ?? '',
    constraints: constraints.map(describeConstraint),
    ...(maxReplicasPerNode === null ? {} : { maxReplicasPerNode }),
    near: near ?? '',
  };
}
