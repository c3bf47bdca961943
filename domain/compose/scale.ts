import { type NodeConstraint, readConstraint } from '../placement/policy.ts';
import { DEFAULT_LIMITS, type ResourceLimits, type RestartPolicy, SPEC_LIMITS } from '../spec.ts';
import {
  DEPLOY_KEYS,
  LIMIT_KEYS,
  PLACEMENT_KEYS,
  RESERVATION_KEYS,
  RESOURCE_KEYS,
  RESTART_POLICY_KEYS,
  type SERVICE_KEYS,
} from './key-rules.ts';
import { itemsOf, type Place, refuse, refuseFound, textOf, wholeOf } from './place.ts';
import { checkLabels } from './platform-owned.ts';
import { bytesOf, coresOf, memoryOf } from './quantities.ts';
import { readKeys, type Translation } from './read-keys.ts';

type ServiceKeys = Partial<Record<keyof typeof SERVICE_KEYS, Place>>;

/** How many replicas a service has, what each may use, where they may be, and what happens when one exits. */
export interface ServiceScale {
  readonly replicas: number;
  readonly limits: ResourceLimits;
  readonly restartPolicy: RestartPolicy;
  /** What its node has to be. */
  readonly constraints: readonly NodeConstraint[];
}

/**
 * Reads `deploy` and the older keys beside it (`scale`, `cpus`, `mem_limit`, `mem_reservation`, `restart`).
 *
 * Where both say something they must say the same; of the restart policy `deploy` has the last word, as in Compose.
 *
 * @throws INVALID_ARGUMENT for what contradicts itself, and for services that are to end.
 */
export function scaleOf(service: ServiceKeys, translation: Translation): ServiceScale {
  const deploy = service.deploy?.value === null ? undefined : service.deploy;
  const keys = deploy ? readKeys(deploy, DEPLOY_KEYS, translation) : {};
  if (keys.labels) checkLabels(keys.labels, translation);
  if (keys.mode && textOf(keys.mode) !== 'replicated') throw refuseFound(keys.mode, 'replicated');
  const resources = keys.resources ? readKeys(keys.resources, RESOURCE_KEYS, translation) : {};
  const limits = resources.limits ? readKeys(resources.limits, LIMIT_KEYS, translation) : {};
  const reservations = resources.reservations ? readKeys(resources.reservations, RESERVATION_KEYS, translation) : {};
  const replicas = same([service.scale, keys.replicas], (place) => wholeOf(place, [0, SPEC_LIMITS.replicas]));
  const cpuCores = same([service.cpus, limits.cpus], coresOf) ?? DEFAULT_LIMITS.cpuCores;
  const memoryBytes = same([service.mem_limit, limits.memory], memoryOf) ?? DEFAULT_LIMITS.memoryBytes;
  within([reservations.cpus], coresOf, cpuCores);
  within([service.mem_reservation, reservations.memory], (place) => bytesOf(place, 0), memoryBytes);
  const restartPolicy = keys.restart_policy
    ? deployRestartOf(keys.restart_policy, translation)
    : restartOf(service.restart, translation);
  const constraints = keys.placement ? constraintsOf(keys.placement, translation) : [];
  return { replicas: replicas ?? 1, limits: { cpuCores, memoryBytes }, restartPolicy, constraints };
}

function constraintsOf(placement: Place, translation: Translation): readonly NodeConstraint[] {
  const { constraints } = readKeys(placement, PLACEMENT_KEYS, translation);
  return constraints ? itemsOf(constraints).map((place) => constraintOf(place)) : [];
}

/** The refusal would show a text that variables made. */
function constraintOf(place: Place): NodeConstraint {
  const allowed = 'a constraint such as node.labels.region==eu; node.id, node.hostname and node.architecture too';
  const constraint = readConstraint(textOf(place, allowed));
  if (constraint) return constraint;
  throw refuseFound(place, allowed);
}

/** The one value of several places. @throws INVALID_ARGUMENT when they differ. */
function same(places: readonly (Place | undefined)[], read: (place: Place) => number): number | undefined {
  const given = places.filter((place) => place !== undefined);
  const [first, second] = given;
  const [value, other] = given.map(read);
  if (!first || !second || value === other) return value;
  throw refuse(second, `another value than ${first.path}`, 'the same value in both, or one of them');
}

/** The limit is what placement reserves, so a reservation within it is kept by itself. */
function within(places: readonly (Place | undefined)[], read: (place: Place) => number, limit: number): void {
  for (const place of places) {
    if (place && read(place) > limit) {
      throw refuse(place, 'more is reserved than the limit', 'a limit (deploy.resources.limits) of at least as much');
    }
  }
}

const JOB = 'one-off jobs are not supported: every service runs on, and is restarted when it exits';
const RESTART = 'always, unless-stopped or on-failure';

function restartOf(place: Place | undefined, { warn }: Translation): RestartPolicy {
  if (!place || place.value === 'always' || place.value === 'unless-stopped') return 'always';
  if (place.value === 'no' || place.value === false) throw refuse(place, JOB, RESTART);
  const [, count] = /^on-failure(?::(\d{1,9}))?$/.exec(textOf(place, RESTART)) ?? ['', null];
  if (count === null) throw refuseFound(place, RESTART);
  if (count !== undefined) warn(place, 'a container is restarted as often as it takes');
  return 'on-failure';
}

function deployRestartOf(place: Place, translation: Translation): RestartPolicy {
  const { condition } = readKeys(place, RESTART_POLICY_KEYS, translation);
  if (!condition || condition.value === 'any') return 'always';
  if (condition.value === 'none') throw refuse(condition, JOB, 'any or on-failure');
  if (condition.value !== 'on-failure') throw refuseFound(condition, 'any or on-failure');
  return 'on-failure';
}
