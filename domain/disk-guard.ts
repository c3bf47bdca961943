import { DomainError } from './errors.ts';

/** How much room the disk of a node's Docker daemon has left. */
export type DiskLevel = 'room' | 'low' | 'full';

/** Space of one disk, bytes. */
export interface DiskSpace {
  /** What may still be written. */
  readonly freeBytes: number;
  /** What is written and what may be; without what the file system keeps for itself. */
  readonly totalBytes: number;
}

/** Clean-up begins this many points of percent above what has to stay free, so that it comes before a refusal. */
const LOW_ABOVE_PERCENT = 5;

/** A level is left this many points above where it began: a disk that hovers at a bound changes nothing. */
const BACK_ABOVE_PERCENT = 2;

const BADNESS: Record<DiskLevel, number> = { room: 0, low: 1, full: 2 };

/** Free share of a disk, percent; one that tells no size counts as free. */
export function freePercentOf({ freeBytes, totalBytes }: DiskSpace): number {
  return totalBytes > 0 ? Math.min(100, Math.max(0, (100 * freeBytes) / totalBytes)) : 100;
}

/**
 * Decides the level of a disk from the one it had and what is free now, and nothing else.
 *
 * `full` begins below `minFreePercent`: the node takes no new replicas. `low` begins five points above it: the node is
 * cleaned, and takes work. Each is left only two points above where it began. With a minimum of 0 there is always room.
 */
export function nextDiskLevel(
  known: DiskLevel,
  { freePercent, minFreePercent }: { readonly freePercent: number; readonly minFreePercent: number },
): DiskLevel {
  if (minFreePercent <= 0) return 'room';
  const isBelow = (bound: number, level: DiskLevel): boolean =>
    freePercent < (BADNESS[known] >= BADNESS[level] ? bound + BACK_ABOVE_PERCENT : bound);
  if (isBelow(minFreePercent, 'full')) return 'full';
  return isBelow(minFreePercent + LOW_ABOVE_PERCENT, 'low') ? 'low' : 'room';
}

/** Whether one level is worse than another. */
export function isWorse(level: DiskLevel, than: DiskLevel): boolean {
  return BADNESS[level] > BADNESS[than];
}

/**
 * Makes sure that a disk keeps free what has to stay so, before something large is put there.
 *
 * @throws INSUFFICIENT_CAPACITY
 */
export function requireRoom(
  what: string,
  { freePercent, minFreePercent }: { readonly freePercent: number; readonly minFreePercent: number },
): void {
  if (freePercent >= minFreePercent) return;
  const finding = `${Math.floor(freePercent)} % of its disk is free, ${minFreePercent} % has to stay`;
  throw new DomainError('INSUFFICIENT_CAPACITY', `this node cannot take the ${what}: ${finding}`, {
    hint: 'Free disk space on that node, or add a node.',
  });
}

/** Says a level for people: `its disk is nearly full: 4 % free`; empty where there is room. */
export function describeDisk(level: DiskLevel, freePercent: number): string {
  if (level === 'room') return '';
  return `its disk is ${level === 'full' ? 'nearly full' : 'filling up'}: ${Math.floor(freePercent)} % free`;
}
