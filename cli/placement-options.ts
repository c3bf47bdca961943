import { create } from '@bufbuild/protobuf';
import type { Command } from 'commander';
import { LOST_VOLUMES, type LostVolumes } from '../domain/placement/policy.ts';
import { STRATEGY_NAMES } from '../domain/placement/strategies.ts';
import {
  LostVolumesPolicy,
  type PlacementPolicy,
  PlacementPolicySchema,
  PlacementStrategy,
} from '../gen/obiente/cloud/v1/spec_pb.ts';
import type { AppPlacement } from './app-file.ts';
import { nameOf } from './choices.ts';
import { parseWhole } from './quantities.ts';

/** What was typed about places, unparsed. */
export interface PlacementOptions {
  readonly strategy?: string;
  readonly spreadBy?: string;
  readonly constraint?: readonly string[];
  readonly maxPerNode?: string;
  readonly near?: string;
  readonly lostVolumes?: string;
  readonly anywhere?: boolean;
}

/** What is wished about places; what is not named stays, unless it begins anew. */
export interface PlacementWish {
  readonly anew: boolean;
  readonly policy: AppPlacement;
}

const STRATEGIES: Readonly<Record<(typeof STRATEGY_NAMES)[number], PlacementStrategy>> = {
  'least-loaded': PlacementStrategy.LEAST_LOADED,
  'round-robin': PlacementStrategy.ROUND_ROBIN,
  'resource-based': PlacementStrategy.RESOURCE_BASED,
  spread: PlacementStrategy.SPREAD,
};

const LOST_VOLUMES_POLICIES: Readonly<Record<LostVolumes, LostVolumesPolicy>> = {
  wait: LostVolumesPolicy.WAIT,
  'begin-empty': LostVolumesPolicy.BEGIN_EMPTY,
};

const collect = (value: string, all: readonly string[] = []): readonly string[] => [...all, value];

/** Adds the options that say where replicas may go. */
export function withPlacementOptions(command: Command): Command {
  return command
    .option('--strategy <name>', `which of the nodes that fit: ${STRATEGY_NAMES.join(', ')}`)
    .option('--spread-by <label>', 'spread replicas across the values of a label of nodes, such as region')
    .option('--constraint <constraint>', 'only nodes such as node.labels.disk==ssd, or != (repeatable)', collect)
    .option('--max-per-node <count>', 'replicas on one node at most')
    .option('--near <name>', 'only on nodes where this deployment of the project runs')
    .option('--lost-volumes <policy>', `when the node with its volumes is lost: ${LOST_VOLUMES.join(', ')}`)
    .option('--anywhere', 'forget what was said about nodes');
}

/** Reads what was typed over what the file says; `undefined` when neither speaks of places. */
export function readPlacement(
  { strategy, spreadBy, constraint, maxPerNode, near, lostVolumes, anywhere = false }: PlacementOptions,
  fromFile: AppPlacement | undefined,
): PlacementWish | undefined {
  const typed: AppPlacement = {
    ...(spreadBy === undefined ? {} : { strategy: 'spread', spreadBy }),
    ...(strategy === undefined ? {} : { strategy: nameOf('--strategy', strategy, STRATEGY_NAMES) }),
    ...(constraint === undefined ? {} : { constraints: [...constraint] }),
    ...(maxPerNode === undefined
      ? {}
      : { maxPerNode: parseWhole('--max-per-node', maxPerNode, { min: 1, max: 10_000 }) }),
    ...(near === undefined ? {} : { near }),
    ...(lostVolumes === undefined ? {} : { lostVolumes: nameOf('--lost-volumes', lostVolumes, LOST_VOLUMES) }),
  };
  if (fromFile === undefined && !anywhere && Object.keys(typed).length === 0) return undefined;
  return {
    anew: anywhere || fromFile !== undefined,
    policy: { ...(anywhere ? {} : fromFile), ...typed },
  };
}

/** Puts a wish over the present policy, in the contract's words. */
export function toPlacementPolicy(present: PlacementPolicy | undefined, { anew, policy }: PlacementWish) {
  const { strategy, spreadBy, constraints, maxPerNode, near, lostVolumes } = policy;
  const { $typeName: _, $unknown: __, ...kept } = create(PlacementPolicySchema, anew ? {} : present);
  const label = spreadBy ?? (strategy === undefined || strategy === 'spread' ? kept.spreadLabel : '');
  const implied = spreadBy === undefined ? undefined : 'spread';
  const name = strategy ?? implied;
  return create(PlacementPolicySchema, {
    ...kept,
    spreadLabel: label,
    ...(name === undefined ? {} : { strategy: STRATEGIES[name] }),
    ...(constraints === undefined ? {} : { constraints }),
    ...(maxPerNode === undefined ? {} : { maxReplicasPerNode: maxPerNode }),
    ...(near === undefined ? {} : { near }),
    ...(lostVolumes === undefined ? {} : { lostVolumes: LOST_VOLUMES_POLICIES[lostVolumes] }),
  });
}
