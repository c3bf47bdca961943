import type { Sweep } from '../sweep.ts';
import { sweep as nodeKilled } from './node-killed.ts';
import { sweep as orchestratorKilled } from './orchestrator-killed.ts';

/** Every sweep, in the order in which they are run. */
export const SWEEPS: readonly Sweep[] = [orchestratorKilled, nodeKilled];
