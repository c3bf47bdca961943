import { LOGGING_KEYS } from './key-rules.ts';
import { pairsOf } from './pairs.ts';
import { itemsOf, membersOf, type Place, refuse, refuseFound, textOf } from './place.ts';
import { readKeys, type Translation } from './read-keys.ts';

/** Labels that mean something to the ingress, to Docker, or to this platform. */
const RESERVED_LABEL =
  /^\s*(?:traefik|com\.docker|io\.docker|org\.dockerproject|platform|obiente|cloud\.obiente)(?:[.]|$)/i;

/** Log drivers that keep what a container prints on its node, as the platform does. */
const LOCAL_DRIVERS = ['json-file', 'local'];
const LOCAL_OPTIONS = ['max-size', 'max-file', 'compress', 'mode', 'max-buffer-size'];

const PULL_POLICY = /^(?:always|missing|if_not_present|build|refresh|newer|daily|weekly|every_\w+)$/;

/** Labels are the platform's own: reserved ones are refused, all others left out. @throws INVALID_ARGUMENT. */
export function checkLabels(place: Place, { warn }: Translation): void {
  const pairs = pairsOf(place);
  for (const { place: at, name } of pairs) {
    if (RESERVED_LABEL.test(name)) {
      throw refuse(at, 'a reserved label, by which the ingress or the platform would be steered', 'a file without it');
    }
  }
  if (pairs.length > 0) warn(place, 'labels are left out, for the platform gives its own');
}

/**
 * Logs stay on the node and are read through the platform.
 *
 * @throws INVALID_ARGUMENT for a driver that sends them elsewhere: the daemon would connect there, from its own network.
 */
export function checkLogging(place: Place, translation: Translation): void {
  const { driver, options } = readKeys(place, LOGGING_KEYS, translation);
  if (driver && !LOCAL_DRIVERS.includes(textOf(driver))) throw refuseFound(driver, 'json-file or local');
  for (const [key, option] of options ? membersOf(options) : []) {
    if (!LOCAL_OPTIONS.includes(key)) {
      throw refuse(option, 'an option that is not supported', `one of ${LOCAL_OPTIONS.join(', ')}`);
    }
  }
  translation.warn(place, 'the platform keeps the logs, 30 MB of each container');
}

/** Nothing can be set here but what every container has. @throws INVALID_ARGUMENT. */
export function checkSecurityOpt(place: Place): void {
  for (const item of itemsOf(place)) {
    if (!/^no-new-privileges(?:[:=]true)?$/.test(textOf(item))) {
      throw refuseFound(item, 'no-new-privileges:true, which every container has anyway');
    }
  }
}

/** An image is always looked up when it is deployed. @throws INVALID_ARGUMENT for a policy that forbids it. */
export function checkPullPolicy(place: Place, { warn }: Translation): void {
  const policy = textOf(place);
  if (policy === 'never') throw refuse(place, 'found never, but nodes begin without any image', 'a file without it');
  if (!PULL_POLICY.test(policy)) throw refuseFound(place, 'a policy of Compose, such as missing');
  warn(place, 'an image is looked up when it is deployed, and stays the same until the next deploy');
}
