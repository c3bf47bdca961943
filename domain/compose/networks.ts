import { COMPOSE_LIMITS, type ComposeVolume } from './application.ts';
import { NETWORK_KEYS, SERVICE_NETWORK_KEYS, VOLUME_KEYS } from './key-rules.ts';
import { isMap, itemsOf, membersOf, type Place, refuse, refuseFound, textOf } from './place.ts';
import { checkLabels } from './platform-owned.ts';
import { readKeys, type Translation } from './read-keys.ts';

/** The network that Compose gives to services which name none. */
const DEFAULT_NETWORK = 'default';

/**
 * Reads the networks of a file, by name. They all become the one private network of the application.
 *
 * @throws INVALID_ARGUMENT for networks of others, and for settings whose absence would be noticed.
 */
export function networksOf(place: Place | undefined, translation: Translation): ReadonlySet<string> {
  const networks = place ? membersOf(place) : [];
  for (const [name, network] of networks) {
    if (network.value === null) continue;
    const keys = readKeys(network, NETWORK_KEYS, translation);
    if (keys.driver && !['bridge', 'overlay', 'default'].includes(textOf(keys.driver))) {
      throw refuseFound(keys.driver, 'bridge');
    }
    checkOwnName(name, keys.name);
    if (keys.labels) checkLabels(keys.labels, translation);
  }
  if (place && networks.length > 1) {
    translation.warn(place, 'they become one private network: every service of the application reaches every other');
  }
  return new Set([DEFAULT_NETWORK, ...networks.map(([name]) => name)]);
}

/** Checks the networks of one service. @throws INVALID_ARGUMENT for unknown ones, names and addresses of its own. */
export function checkServiceNetworks(place: Place, known: ReadonlySet<string>, translation: Translation): void {
  const networks = isMap(place.value) ? membersOf(place) : itemsOf(place).map((item) => [textOf(item), item] as const);
  for (const [name, network] of networks) {
    if (!known.has(name)) throw refuse(network, 'no such network in the file', 'one that it declares under networks');
    if (isMap(place.value) && network.value !== null) readKeys(network, SERVICE_NETWORK_KEYS, translation);
  }
}

/**
 * Reads the volumes of a file.
 *
 * @throws INVALID_ARGUMENT for volumes of others, and for drivers and options: `o: bind` would mount the node's root.
 */
export function volumesOf(place: Place | undefined, translation: Translation): readonly ComposeVolume[] {
  const volumes = place ? membersOf(place) : [];
  if (place && volumes.length > COMPOSE_LIMITS.volumes) {
    throw refuse(place, `${volumes.length} volumes`, `at most ${COMPOSE_LIMITS.volumes}`);
  }
  for (const [name, volume] of volumes) {
    if (!/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(name) || name.length > COMPOSE_LIMITS.volumeNameLength) {
      const length = COMPOSE_LIMITS.volumeNameLength;
      throw refuse(volume, 'its name is none of a volume', `letters, digits, _ . - (${length} at most)`);
    }
    if (volume.value === null) continue;
    const keys = readKeys(volume, VOLUME_KEYS, translation);
    if (keys.driver && textOf(keys.driver) !== 'local') throw refuseFound(keys.driver, 'local');
    checkOwnName(name, keys.name);
    if (keys.labels) checkLabels(keys.labels, translation);
  }
  return volumes.map(([name]) => ({ name }));
}

/** A name of its own is how something of another application would be meant. */
function checkOwnName(key: string, name: Place | undefined): void {
  if (name && textOf(name) !== key) throw refuse(name, 'another name than its key', 'the same name, or none');
}
