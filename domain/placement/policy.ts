import { type DomainError, invalidArgument } from '../errors.ts';
import { isLabelWord } from '../node-labels.ts';
import { isStrategyName, STRATEGY_NAMES, type StrategyName } from './strategies.ts';

/** What a node has to be, or must not be: `node.labels.region==eu`. */
export interface NodeConstraint {
  /** One of {@link NODE_ATTRIBUTES}, or `node.labels.` and the name of a label. */
  readonly attribute: string;
  readonly isEqual: boolean;
  readonly value: string;
}

/** What becomes of a deployment whose volumes are on a lost node: it waits for that, or begins elsewhere with empty ones. */
export const LOST_VOLUMES = ['wait', 'begin-empty'] as const;

/** See {@link LOST_VOLUMES}. */
export type LostVolumes = (typeof LOST_VOLUMES)[number];

/** Where the replicas of a deployment may go, and which of those places they get. */
export interface PlacementPolicy {
  /** `null`: the platform's. */
  readonly strategy: StrategyName | null;
  /** The label of which `spread` uses all values; `null`: the platform's. */
  readonly spreadLabel: string | null;
  /** All of them hold for each node that is chosen. */
  readonly constraints: readonly NodeConstraint[];
  /** Replicas of one service on one node at most; `null`: as many as fit. */
  readonly maxReplicasPerNode: number | null;
  /** Name of a deployment of the project: only where it has a replica; `null`: anywhere. */
  readonly near: string | null;
  /** Absent: `wait`. */
  readonly lostVolumes?: LostVolumes;
}

/** The policy of which nothing is said. */
export const ANYWHERE: PlacementPolicy = {
  strategy: null,
  spreadLabel: null,
  constraints: [],
  maxReplicasPerNode: null,
  near: null,
};

/** Whether two policies allow the same places; one that is absent allows any. */
export function allowsSamePlaces(one: PlacementPolicy = ANYWHERE, other: PlacementPolicy = ANYWHERE): boolean {
  return comparable(one) === comparable(other);
}

function comparable({ strategy, spreadLabel, constraints, maxReplicasPerNode, near }: PlacementPolicy): string {
  return JSON.stringify([strategy, spreadLabel, maxReplicasPerNode, near, constraints.map(describeConstraint).sort()]);
}

/** A policy as it came in: constraints are text, and nothing is trusted. */
export interface RawPlacementPolicy extends Omit<PlacementPolicy, 'strategy' | 'constraints'> {
  readonly strategy: string | null;
  readonly constraints: readonly string[];
}

export const PLACEMENT_LIMITS = { constraints: 32, replicasPerNode: 10_000, valueLength: 255 } as const;

/** What a constraint may ask of a node beside its labels. */
export const NODE_ATTRIBUTES = ['node.id', 'node.hostname', 'node.architecture'] as const;

const LABEL_PREFIX = 'node.labels.';

/** What Docker Swarm calls it. */
const SYNONYMS: ReadonlyMap<string, string> = new Map([['node.platform.arch', 'node.architecture']]);

/** Kinds of processors as kernels name them, by the name that images have for them. */
const ARCHITECTURES: ReadonlyMap<string, string> = new Map([
  ['x86_64', 'amd64'],
  ['aarch64', 'arm64'],
]);

const DEPLOYMENT_NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** Makes a policy valid that came in. @throws INVALID_ARGUMENT */
export function parsePlacementPolicy(field: string, raw: RawPlacementPolicy | undefined): PlacementPolicy {
  if (!raw) return ANYWHERE;
  const { spreadLabel, maxReplicasPerNode, near } = raw;
  const strategy = parseStrategy(`${field}.strategy`, raw.strategy);
  if (spreadLabel !== null && strategy !== 'spread') {
    throw invalidArgument(`${field}.spread_label`, `is set with ${strategy ?? 'no strategy'}`, 'the strategy spread');
  }
  if (spreadLabel !== null && !isLabelWord(spreadLabel)) {
    throw invalidArgument(`${field}.spread_label`, found(spreadLabel), 'the name of a label of nodes, such as region');
  }
  const most = PLACEMENT_LIMITS.replicasPerNode;
  if (maxReplicasPerNode !== null && !isWithin(maxReplicasPerNode, most)) {
    throw invalidArgument(`${field}.max_replicas_per_node`, `found ${maxReplicasPerNode}`, `1 to ${most}`);
  }
  if (near !== null && !DEPLOYMENT_NAME.test(near)) {
    throw invalidArgument(`${field}.near`, found(near), 'the name of a deployment of the project');
  }
  return {
    ...{ strategy, spreadLabel, maxReplicasPerNode, near },
    constraints: parseConstraints(`${field}.constraints`, raw.constraints),
    ...(raw.lostVolumes === undefined ? {} : { lostVolumes: raw.lostVolumes }),
  };
}

/** Reads constraints, without those that stand twice. @throws INVALID_ARGUMENT */
export function parseConstraints(field: string, texts: readonly string[]): readonly NodeConstraint[] {
  if (texts.length > PLACEMENT_LIMITS.constraints) {
    throw tooMany(field, texts.length);
  }
  return eachOnce(texts.map((text, index) => parseConstraint(`${field}[${index}]`, text)));
}

function eachOnce(constraints: readonly NodeConstraint[]): readonly NodeConstraint[] {
  return [...new Map(constraints.map((constraint) => [describeConstraint(constraint), constraint])).values()];
}

/** Reads `node.labels.region==eu`, with spaces or without. @throws INVALID_ARGUMENT */
export function parseConstraint(field: string, text: string): NodeConstraint {
  const constraint = readConstraint(text);
  if (constraint) return constraint;
  const attributes = `${NODE_ATTRIBUTES.join(', ')} or ${LABEL_PREFIX}<name>`;
  throw invalidArgument(field, found(text), `${attributes}, then == or !=, then a value`);
}

/** {@link parseConstraint} without a refusal: `undefined` for what is none. */
export function readConstraint(text: string): NodeConstraint | undefined {
  const [, name = '', operator, written = ''] = /^\s*([^\s=!]+)\s*(==|!=)\s*(\S+)\s*$/.exec(text) ?? [];
  const attribute = SYNONYMS.get(name) ?? name;
  const isLabel = attribute.startsWith(LABEL_PREFIX) && isLabelWord(attribute.slice(LABEL_PREFIX.length));
  const isKnown = isLabel || NODE_ATTRIBUTES.some((known) => known === attribute);
  if (operator === undefined || !isKnown || written.length > PLACEMENT_LIMITS.valueLength) {
    return undefined;
  }
  const value = attribute === 'node.architecture' ? (ARCHITECTURES.get(written) ?? written) : written;
  return { attribute, isEqual: operator === '==', value };
}

/** A policy with more constraints, each once. @throws INVALID_ARGUMENT when they are too many */
export function withConstraints(policy: PlacementPolicy, more: readonly NodeConstraint[]): PlacementPolicy {
  const constraints = eachOnce([...policy.constraints, ...more]);
  if (constraints.length <= PLACEMENT_LIMITS.constraints) return { ...policy, constraints };
  throw tooMany('constraints', constraints.length);
}

/** A constraint as it is written: `node.labels.region==eu`. */
export function describeConstraint({ attribute, isEqual, value }: NodeConstraint): string {
  return `${attribute}${isEqual ? '==' : '!='}${value}`;
}

/** What constraints are about. */
export interface ConstrainedNode {
  readonly nodeId: string;
  readonly hostname: string;
  /** As images name it: `amd64`. */
  readonly architecture: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Whether a node is what a constraint wants. One without the label is none that has its value. */
export function meets(node: ConstrainedNode, { attribute, isEqual, value }: NodeConstraint): boolean {
  return (attributeOf(node, attribute) === value) === isEqual;
}

function attributeOf(
  { nodeId, hostname, architecture, labels }: ConstrainedNode,
  attribute: string,
): string | undefined {
  if (attribute === 'node.id') return nodeId;
  if (attribute === 'node.hostname') return hostname;
  if (attribute === 'node.architecture') return ARCHITECTURES.get(architecture) ?? architecture;
  const label = attribute.slice(LABEL_PREFIX.length);
  return Object.hasOwn(labels, label) ? labels[label] : undefined;
}

function tooMany(field: string, count: number): DomainError {
  return invalidArgument(field, `${count} constraints`, `at most ${PLACEMENT_LIMITS.constraints}`);
}

function parseStrategy(field: string, strategy: string | null): StrategyName | null {
  if (strategy === null || isStrategyName(strategy)) return strategy;
  throw invalidArgument(field, found(strategy), STRATEGY_NAMES.join(', '));
}

function isWithin(value: number, most: number): boolean {
  return Number.isSafeInteger(value) && value >= 1 && value <= most;
}

function found(text: string): string {
  return `found ${JSON.stringify(text.slice(0, 80))}`;
}
