import type { ContainerEvent } from '../domain/container.ts';
import type { NodeReading } from '../domain/metrics/node-minutes.ts';
import type { MeteredContainer, Reading } from '../domain/metrics/reading.ts';
import type { RowBatch } from '../domain/metrics/rows.ts';

/** One way of reading what containers use. */
export interface ReadingSource {
  /** Begins to measure one run of a container; `undefined` when it cannot be measured this way. */
  open(container: MeteredContainer): Meter | undefined;
}

/** Reads one run of a container, again and again. */
export interface Meter {
  /**
   * Reads once.
   *
   * @returns `undefined` when this run has ended: no later call will succeed.
   * @throws what kept it from reading this time.
   */
  read(signal: AbortSignal): Reading | undefined | Promise<Reading | undefined>;
  /** Lets go of what is held open. May be called more than once. */
  close(): void;
}

/** The whole host, as far as it can be read. */
export interface NodeSource {
  /** Reads once. @throws what kept it from reading. */
  read(): NodeReading;
  close(): void;
}

/** The node's Docker daemon, as far as finding containers goes. */
export interface ContainerDirectory {
  /** Ids of this installation's containers, stopped ones included. Absence proves nothing. */
  listContainerIds(): Promise<readonly string[]>;
  /** A container that runs, from its labels; `undefined` when it does not exist, does not run, or is nobody's replica. */
  findMetered(id: string): Promise<MeteredContainer | undefined>;
  /** Follows what happens to containers; every connection begins with `connected`. */
  followEvents(signal: AbortSignal): AsyncIterable<ContainerEvent>;
}

/** A database of metrics, as far as a streamer may use it. */
export interface RowStore {
  /**
   * Writes rows; those that are there already stay as they are.
   *
   * @returns how many were not there already.
   * @throws DATABASE_UNAVAILABLE when it is worth a retry.
   */
  insertRows(batch: RowBatch): Promise<number>;
  /** Asks whether it answers. @throws DATABASE_UNAVAILABLE */
  probe(): Promise<void>;
}

/** Clocks, so that tests can set them. */
export interface Clock {
  /** Wall clock, milliseconds since 1970. */
  now(): number;
  /** A clock that never jumps, milliseconds. */
  monotonic(): number;
}

/** The clocks of this machine. */
export const SYSTEM_CLOCK: Clock = { now: () => Date.now(), monotonic: () => performance.now() };
