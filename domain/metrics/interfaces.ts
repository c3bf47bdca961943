import type { Counters, InterfaceCounts, Reading } from './reading.ts';

type NetworkCounters = Pick<Counters, Extract<keyof Counters, `network${string}`>>;
type Interfaces = Reading['interfaces'];

const NOTHING: NetworkCounters = {
  networkReceiveBytes: 0,
  networkReceivePackets: 0,
  networkTransmitBytes: 0,
  networkTransmitPackets: 0,
};

/** The network counters of a container from those of its interfaces. */
export function sumInterfaces(interfaces: Interfaces): NetworkCounters {
  return Object.values(interfaces).reduce(plus, NOTHING);
}

/** What a run's interfaces have counted, those included that are there no more. */
export interface NetworkHistory {
  /** Counted by interfaces that have gone or were replaced. */
  readonly gone: NetworkCounters;
  /** The others as they showed last, with the way in which that was read. */
  readonly present: Readonly<Record<string, { readonly counts: InterfaceCounts; readonly source: Reading['source'] }>>;
}

/**
 * Takes the next reading of a run's interfaces into its history.
 *
 * Their sum falls when a container leaves a network, and what is left of it would look as if it had been counted anew. So
 * what an interface had counted is kept when it goes, or when one of its counters falls: it is another one by then.
 * Only the way that showed it can tell: another may not see this interface, or show an older value of it.
 */
export function followInterfaces(
  before: NetworkHistory | undefined,
  { interfaces, source }: Pick<Reading, 'interfaces' | 'source'>,
): { readonly history: NetworkHistory; readonly counters: NetworkCounters } {
  let gone = before?.gone ?? NOTHING;
  const present: Record<string, NetworkHistory['present'][string]> = {};
  for (const [name, last] of Object.entries(before?.present ?? {})) {
    const now = interfaces[name];
    if (last.source !== source) present[name] = last;
    else if (!now || hasFallen(last.counts, now)) gone = plus(gone, last.counts);
  }
  for (const [name, counts] of Object.entries(interfaces)) present[name] = { counts, source };
  const counters = Object.values(present).reduce((sum, { counts }) => plus(sum, counts), gone);
  return { history: { gone, present }, counters };
}

function hasFallen(last: InterfaceCounts, now: InterfaceCounts): boolean {
  return (
    now.receiveBytes < last.receiveBytes ||
    now.receivePackets < last.receivePackets ||
    now.transmitBytes < last.transmitBytes ||
    now.transmitPackets < last.transmitPackets
  );
}

function plus(sum: NetworkCounters, one: InterfaceCounts): NetworkCounters {
  return {
    networkReceiveBytes: sum.networkReceiveBytes + one.receiveBytes,
    networkReceivePackets: sum.networkReceivePackets + one.receivePackets,
    networkTransmitBytes: sum.networkTransmitBytes + one.transmitBytes,
    networkTransmitPackets: sum.networkTransmitPackets + one.transmitPackets,
  };
}
