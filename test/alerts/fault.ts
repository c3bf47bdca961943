import type { AlertRuleName } from '../../domain/alerts/alert-rules.ts';
import type { AlertBed } from './bed.ts';

/** A fault that was prepared and has not begun. */
export interface ReadyFault {
  /** Ids of the deployments that it is about. */
  readonly deployments: readonly string[];
  harm(): Promise<unknown>;
  heal(): Promise<unknown>;
  /** Removes what was made for it, when all has been told. */
  remove(): Promise<unknown>;
}

/**
 * When a fault has its turn; a stage begins when the one before it is over, in this order:
 *
 * - `slow`: takes a quarter of an hour to be over when it is healed. One after the other; the next stage begins when all
 *   are healed.
 * - `alone`: harms the streamer itself. One after the other.
 * - `streamer`: harms what the streamer needs. Side by side, since each harms something else.
 * - `application`: harms its own deployments only. Side by side.
 * - `node`: harms the node, and none of what runs there. One after the other, as soon as all applications are healed.
 */
export type Stage = 'slow' | 'alone' | 'streamer' | 'application' | 'node';

/** Something that goes wrong, and what people have to be told of it. */
export interface Fault {
  readonly name: string;
  /** One line: what is done. */
  readonly about: string;
  /** What must fire, once for each deployment that it is about, or for the node, and resolve. */
  readonly rules: readonly AlertRuleName[];
  /** What may fire besides, since the same fault explains it. */
  readonly also?: readonly AlertRuleName[];
  /** What is not as it is built in, in words. */
  readonly changed?: string;
  readonly stage: Stage;
  /** From the fault until all of it was told, and from the end until that was told, milliseconds at most. */
  readonly patienceMs: number;
  /** @param stack takes what has to be undone also when the run is interrupted. */
  prepare(bed: AlertBed, stack: AsyncDisposableStack): Promise<ReadyFault>;
}
