import type { BuildImageInput } from './activities.ts';
import type { RolloutTiming } from './timing.ts';

/** Workflow type of one image build. */
export const BUILD_WORKFLOW = 'buildImage';

/** Workflow id of a revision's build: at most one per revision. */
export function buildWorkflowId(deploymentId: string, revision: number): string {
  return `deployment/${deploymentId}/build/${revision}`;
}

/** Input of the build workflow. */
export interface BuildInput extends BuildImageInput {
  readonly nodeId: string;
  readonly timing: RolloutTiming;
}
