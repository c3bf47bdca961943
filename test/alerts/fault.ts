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
 * When a fault has its turn: a stage begins when the one before it is over. Within a stage all go side by side, since they
 * harm different things, but for `node`, where they go one after the other.
 *
 * - `slow`: harms what others need, and takes a quarter of an hour to be over when it is healed: others go on meanwhile.
 * - `application`: harms its own deployments only.
 * - `node`: harms the node, and no deployment of others. Goes beside `application`.
 * - `streamer`: harms what the streamer needs.
 * - `alone`: harms the streamer itself.
 */
export type Stage = 'slow' | 'application' | 'node' | 'streamer' | 'alone';

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
