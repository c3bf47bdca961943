import { invalidArgument } from '../../domain/errors.ts';

/** Replicas that a cursor remembers one by one: with their times they fit into the 4 KiB that the contract allows. */
const MAX_POSITIONS = 60;

/** How far the clocks of two hosts may be apart. */
const CLOCK_TOLERANCE_NANOS = 10_000_000_000n;

/** Where a stream of logs stands. Times are nanoseconds since 1970, as Docker stamps lines. */
export interface LogPositions {
  /** Time of the last line that was sent of a replica; of one that is not remembered, the floor, if there is one. */
  of(replicaId: string): bigint | undefined;
  /** Remembers a line that was sent. */
  passed(replicaId: string, atNanos: bigint): void;
  /** The opaque cursor after all that was passed. */
  toCursor(): string;
}

/**
 * Begins a stream's positions, or takes them up from a cursor.
 *
 * With more replicas than are remembered, those that have been silent for longest share the oldest of their times as a
 * floor: going on from there may repeat lines of theirs, and loses none.
 *
 * @throws INVALID_ARGUMENT for a cursor that this deployment's logs did not hand out.
 */
export function openPositions(deploymentId: string, cursor: string): LogPositions {
  const { floor: initial, positions } = parseCursor(deploymentId, cursor);
  let floor = initial;
  return {
    of: (replicaId) => positions.get(replicaId) ?? floor,
    passed: (replicaId, atNanos) => {
      positions.delete(replicaId);
      positions.set(replicaId, atNanos);
      const [oldest] = positions;
      if (positions.size <= MAX_POSITIONS || !oldest) return;
      positions.delete(oldest[0]);
      floor = floor === undefined || oldest[1] < floor ? oldest[1] : floor;
    },
    toCursor: () => {
      const replicas = Object.fromEntries([...positions].map(([id, at]) => [id, at.toString(36)]));
      const floorText = floor === undefined ? {} : { f: floor.toString(36) };
      return Buffer.from(JSON.stringify({ d: deploymentId, ...floorText, r: replicas })).toString('base64url');
    },
  };
}

/** The cursor of a stream that begins now, without older lines; the clocks of the nodes may be a little behind. */
export function cursorOfNow(deploymentId: string, now: Date): string {
  const floor = BigInt(now.getTime()) * 1_000_000n - CLOCK_TOLERANCE_NANOS;
  return Buffer.from(JSON.stringify({ d: deploymentId, f: floor.toString(36), r: {} })).toString('base64url');
}

function parseCursor(
  deploymentId: string,
  cursor: string,
): { floor: bigint | undefined; positions: Map<string, bigint> } {
  if (cursor === '') return { floor: undefined, positions: new Map() };
  const { d, f, r } = decoded(cursor);
  const times = Object.entries(typeof r === 'object' && r !== null ? r : { invalid: '' });
  const isWhole =
    d === deploymentId && times.length <= MAX_POSITIONS && [f ?? '0', ...times.map(([, at]) => at)].every(isTime);
  if (!isWhole) throw invalidArgument('cursor', 'not a cursor of these logs', 'the cursor of a line that was received');
  const positions = new Map(times.map(([id, at]) => [id, toNanos(String(at))]));
  return { floor: f === undefined ? undefined : toNanos(String(f)), positions };
}

function decoded(cursor: string): { d?: unknown; f?: unknown; r?: unknown } {
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    // Whatever is wrong with it, it is not a cursor of this platform.
    return {};
  }
}

/** Thirteen digits of base 36 hold 64 bits. */
function isTime(text: unknown): boolean {
  return typeof text === 'string' && /^[0-9a-z]{1,13}$/.test(text);
}

function toNanos(base36: string): bigint {
  return [...base36].reduce((sum, digit) => sum * 36n + BigInt(Number.parseInt(digit, 36)), 0n);
}
