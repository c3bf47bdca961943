import { DomainError } from '../domain/errors.ts';
import { describeBytes } from '../domain/quantities.ts';

/** What one build may use beside memory and cores, which Docker enforces. */
export interface BuildLimits {
  readonly timeoutMs: number;
  readonly disk: {
    /** Below this nothing is built. */
    readonly minFreeBytes: number;
    /** A build is stopped when this much has been written since it began. */
    readonly maxWrittenBytes: number;
    /** Free space where the daemon keeps images and layers; throws when it cannot be told. */
    freeBytes(): Promise<number>;
  };
}

/** A build within its limits. */
export interface LimitedBuild {
  /** Aborted when the outer signal is, or with a BUILD_FAILED that says which limit was reached. */
  readonly signal: AbortSignal;
  stop(): void;
}

/** No daemon tells how full its disk gets. Even a fast disk takes a few GB in this time, which is what limits are above. */
const LOOK_EVERY_MS = 1_000;

/**
 * Starts the clock of a build and watches its disk until stopped.
 *
 * What is watched is the free space of the disk: what else writes there in the meantime counts too.
 *
 * @throws BUILD_FAILED when there is too little space to begin with.
 */
export async function limitBuild(limits: BuildLimits, outer: AbortSignal): Promise<LimitedBuild> {
  const { timeoutMs, disk } = limits;
  const reached = new AbortController();
  const freeAtFirst = await disk.freeBytes();
  const check = (free: number): void => {
    const written = freeAtFirst - free;
    if (free < disk.minFreeBytes) reached.abort(tooFull(free, disk.minFreeBytes));
    else if (written > disk.maxWrittenBytes) reached.abort(tooMuch(written, disk.maxWrittenBytes));
  };
  check(freeAtFirst);
  reached.signal.throwIfAborted();
  const timeout = setTimeout(() => reached.abort(tooLong(timeoutMs)), timeoutMs);
  // A look that fails says nothing about the build; the next one may tell.
  const looks = setInterval(() => void disk.freeBytes().then(check, () => undefined), LOOK_EVERY_MS);
  return {
    signal: AbortSignal.any([outer, reached.signal]),
    stop: () => {
      clearTimeout(timeout);
      clearInterval(looks);
    },
  };
}

function tooLong(timeoutMs: number): DomainError {
  const limit = timeoutMs < 60_000 ? `${timeoutMs / 1000} s` : `${Math.round(timeoutMs / 60_000)} min`;
  return new DomainError('BUILD_FAILED', `the image does not build: it takes longer than ${limit}`, {
    hint: 'Make the build shorter, or let whoever runs the platform raise BUILD_TIMEOUT.',
  });
}

function tooFull(free: number, min: number): DomainError {
  const found = `the disk of the node has ${describeBytes(Math.max(0, free))} free; ${describeBytes(min)} must stay free`;
  return new DomainError('BUILD_FAILED', `the image does not build: ${found}`, {
    hint: 'Make the image smaller; or let whoever runs the platform free space on the node.',
  });
}

function tooMuch(written: number, max: number): DomainError {
  const found = `${describeBytes(written)} were written to the disk of the node since it began; ${describeBytes(max)} are allowed`;
  return new DomainError('BUILD_FAILED', `the image does not build: ${found}`, {
    hint: 'Make the image smaller, or let whoever runs the platform raise BUILD_MAX_DISK.',
  });
}
