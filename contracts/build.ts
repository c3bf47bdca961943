import type { BuildImageInput } from './node-activities.ts';
import type { ServiceRef } from './rollout.ts';
import type { RolloutTiming } from './timing.ts';

/** Workflow type of one image build. */
export const BUILD_WORKFLOW = 'buildImage';

/** Workflow id of a build: at most one per service of a revision. */
export function buildWorkflowId({ deploymentId, revision, service }: ServiceRef): string {
  return `deployment/${deploymentId}/build/${revision}/${service}`;
}

/** Input of the build workflow. */
export interface BuildInput extends BuildImageInput {
  readonly nodeId: string;
  readonly timing: RolloutTiming;
}
