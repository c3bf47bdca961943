import type { Sweep } from '../sweep.ts';
import { sweep as apiKilled } from './api-killed.ts';
import { sweep as cancelledMeanwhile } from './cancelled-meanwhile.ts';
import { sweep as deletedMeanwhile } from './deleted-meanwhile.ts';
import { sweep as interleavings } from './interleavings.ts';
import { sweep as nodeKilled } from './node-killed.ts';
import { sweep as orchestratorKilled } from './orchestrator-killed.ts';
import { sweep as processesHarmed } from './processes-harmed.ts';
import { sweep as unanswered } from './unanswered.ts';

/** Every sweep, in the order in which they are run. */
export const SWEEPS: readonly Sweep[] = [
  orchestratorKilled,
  nodeKilled,
  apiKilled,
  processesHarmed,
  cancelledMeanwhile,
  deletedMeanwhile,
  interleavings,
  unanswered,
];
