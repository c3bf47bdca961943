import type { Cluster } from './cluster.ts';
import type { Figure } from './figures.ts';

/** What came of an experiment. */
export interface ExperimentOutcome {
  readonly runs: number;
  readonly figures: readonly Figure[];
  /** Invariants that did not hold, and runs that did not come to their end, in words. */
  readonly breaks: readonly string[];
}

/** What an experiment is given beside the cluster. */
export interface ExperimentOptions {
  readonly runs: number;
  /** Takes what has to be undone, also when the run is interrupted. */
  readonly stack: AsyncDisposableStack;
  /** Tells people how it goes. */
  tell(line: string): void;
}

/** Something that is done to a cluster, and what is measured meanwhile. */
export interface Experiment {
  readonly name: string;
  /** One line: what is done, and what must come of it. */
  readonly about: string;
  /** How often it is done unless somebody wants it otherwise. */
  readonly runs: number;
  run(cluster: Cluster, options: ExperimentOptions): Promise<ExperimentOutcome>;
}
