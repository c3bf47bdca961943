import { COUNTER_NAMES } from '../../domain/metrics/counters.ts';
import type { Counters } from '../../domain/metrics/reading.ts';
import type { Conservation, Scale } from '../streamer/conservation.ts';

/** Scaled clocks: an outage of ten "minutes" within the tests, of 60 by command. */
const SCALES = {
  short: { storageMs: 500, collectionMs: 100, outageMinutes: 10, kills: 1 },
  long: { storageMs: 1_000, collectionMs: 200, outageMinutes: 60, kills: 3 },
} as const;

export function aScale(name: keyof typeof SCALES, { standsIn }: Pick<Scale, 'standsIn'>): Scale {
  return { ...SCALES[name], standsIn };
}

/** What the kernel counted and is not stored; below zero, what is stored and was never counted. */
export function differences({ expected, stored }: Conservation): Counters {
  const entries = COUNTER_NAMES.map((name) => [name, expected[name] - stored[name]]);
  return Object.fromEntries(entries) as unknown as Counters;
}
