import { DEFAULT_HEALTH_CHECK, type HealthCheck, type HealthProbe } from '../spec.ts';
import { HEALTH_KEYS } from './key-rules.ts';
import { flagOf, itemsOf, type Place, refuse, refuseFound, textOf, wholeOf } from './place.ts';
import { durationOf } from './quantities.ts';
import { readKeys, type Translation } from './read-keys.ts';

/** What Compose takes for a time that a check leaves out; its start period of 0 s is left to the platform's own. */
const COMPOSE_DEFAULTS = { intervalMs: 30_000, timeoutMs: 30_000, retries: 3 } as const;

/** Bounds that the contract (`spec.proto`) sets for the command of a check. */
const MAX_WORDS = 64;
const MAX_WORD_LENGTH = 4096;

/**
 * Reads `healthcheck`. Without one, and without a `test` in it, health is found out by the platform itself.
 *
 * @throws INVALID_ARGUMENT for a test that is no command, and for times that a spec cannot have.
 */
export function healthCheckOf(place: Place | undefined, translation: Translation): HealthCheck {
  if (!place) return DEFAULT_HEALTH_CHECK;
  const keys = readKeys(place, HEALTH_KEYS, translation);
  const isDisabled = keys.disable ? flagOf(keys.disable) : false;
  const probe: HealthProbe = keys.test ? probeOf(keys.test) : { kind: 'automatic' };
  return {
    probe: isDisabled ? { kind: 'none' } : probe,
    intervalMs: keys.interval ? durationOf(keys.interval, [100, 300_000]) : COMPOSE_DEFAULTS.intervalMs,
    timeoutMs: keys.timeout ? durationOf(keys.timeout, [100, 300_000]) : COMPOSE_DEFAULTS.timeoutMs,
    retries: keys.retries ? wholeOf(keys.retries, [1, 100]) : COMPOSE_DEFAULTS.retries,
    startPeriodMs: keys.start_period
      ? durationOf(keys.start_period, [0, 3_600_000])
      : DEFAULT_HEALTH_CHECK.startPeriodMs,
  };
}

/** A text and `CMD-SHELL` go through the shell of the container, as in Compose; `CMD` goes as it stands. */
function probeOf(place: Place): HealthProbe {
  if (typeof place.value === 'string') return command(place, ['/bin/sh', '-c', place.value]);
  if (!Array.isArray(place.value)) throw refuseFound(place, 'a command as a text, or a list that begins with CMD');
  const [first, ...words] = itemsOf(place).map((item) => textOf(item));
  if (first === 'NONE' && words.length === 0) return { kind: 'none' };
  if (first === 'CMD') return command(place, words);
  if (first === 'CMD-SHELL') return command(place, words.length === 0 ? [] : ['/bin/sh', '-c', ...words]);
  throw refuse(place, 'the list begins with none of its words', 'CMD, CMD-SHELL or NONE as the first item');
}

function command(place: Place, words: readonly string[]): HealthProbe {
  if (words.length === 0 || words.at(-1) === '') throw refuse(place, 'an empty command', 'a command');
  const isLong = words.length > MAX_WORDS || words.some((word) => word.length > MAX_WORD_LENGTH);
  if (!isLong) return { kind: 'command', command: words };
  throw refuse(place, 'a long command', `at most ${MAX_WORDS} words of ${MAX_WORD_LENGTH} characters`);
}
