import type { ComposeDependency } from './application.ts';
import { DEPENDENCY_KEYS } from './key-rules.ts';
import { flagOf, isMap, itemsOf, membersOf, type Place, refuse, refuseFound, textOf } from './place.ts';
import { readKeys, type Translation } from './read-keys.ts';

/** A dependency, with the place that names it. */
export interface PlacedDependency extends ComposeDependency {
  readonly place: Place;
}

/** What the order of services is made of. */
export interface DependentService {
  readonly name: string;
  readonly isChecked: boolean;
  readonly dependencies: readonly PlacedDependency[];
}

/** Reads `depends_on`, as a list or with conditions. @throws INVALID_ARGUMENT for services that are to end. */
export function dependenciesOf(place: Place, translation: Translation): readonly PlacedDependency[] {
  if (!isMap(place.value)) return listedOf(place);
  return membersOf(place).map(([service, member]) => {
    const { condition, required } = readKeys(member, DEPENDENCY_KEYS, translation);
    if (required && !flagOf(required))
      throw refuse(required, 'a dependency that may be missing', 'true, or no such line');
    return { service, condition: condition ? conditionOf(condition) : 'started', place: member };
  });
}

function listedOf(place: Place): readonly PlacedDependency[] {
  const seen = new Set<string>();
  return itemsOf(place).map((item) => {
    const service = textOf(item);
    if (seen.has(service)) throw refuse(item, 'the same service twice', 'each service once');
    seen.add(service);
    return { service, condition: 'started', place: item };
  });
}

function conditionOf(place: Place): ComposeDependency['condition'] {
  if (place.value === 'service_started') return 'started';
  if (place.value === 'service_healthy') return 'healthy';
  if (place.value === 'service_completed_successfully') {
    throw refuse(
      place,
      'one-off jobs are not supported, so no service completes',
      'service_started or service_healthy',
    );
  }
  throw refuseFound(place, 'service_started or service_healthy');
}

/**
 * Puts services behind those that they depend on; beyond that, the order stays.
 *
 * @throws INVALID_ARGUMENT for dependencies on what is not there, on each other in a circle, and on the health of a
 * service that has no check.
 */
export function inOrder<S extends DependentService>(services: readonly S[]): readonly S[] {
  const byName = new Map(services.map((service) => [service.name, service]));
  for (const { dependencies } of services) for (const dependency of dependencies) checkOne(dependency, byName);
  const ordered: S[] = [];
  const names = new Set<string>();
  while (ordered.length < services.length) {
    const isReady = ({ dependencies }: S) => dependencies.every(({ service }) => names.has(service));
    const next = services.find((service) => !names.has(service.name) && isReady(service));
    if (!next) throw circle(services.filter((service) => !names.has(service.name)));
    ordered.push(next);
    names.add(next.name);
  }
  return ordered;
}

function checkOne(
  { service, condition, place }: PlacedDependency,
  byName: ReadonlyMap<string, DependentService>,
): void {
  const found = byName.get(service);
  if (!found) throw refuse(place, 'no such service in the file', `one of ${[...byName.keys()].join(', ')}`);
  if (condition === 'healthy' && !found.isChecked) {
    throw refuse(
      place,
      `the health check of ${service} is disabled`,
      'service_started, or a service with a health check',
    );
  }
}

/** Every service that is left waits for another one that is left, so following them comes back to one of them. */
function circle(left: readonly DependentService[]): Error {
  const seen: DependentService[] = [];
  let at = left[0];
  while (at && !seen.includes(at)) {
    seen.push(at);
    const wanted = at.dependencies.map(({ service }) => service);
    at = left.find(({ name }) => wanted.includes(name));
  }
  const ring = seen.slice(at ? seen.indexOf(at) : 0);
  const names = [...ring, ring[0]].map((one) => one?.name).join(' → ');
  const next = ring[1]?.name ?? ring[0]?.name;
  const place = ring[0]?.dependencies.find(({ service }) => service === next)?.place;
  return refuse(
    place ?? { path: 'services', written: null, value: null },
    `a circle, ${names}`,
    'services in some order',
  );
}
