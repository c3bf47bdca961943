import { sleep } from '@temporalio/workflow';
import type { DeploymentInput } from '../../../contracts/deployment.ts';
import { deployment as today } from '../../../workflows/deployment.ts';

/** Today's workflow with a step more, as a careless change would add it: replaying recorded histories must fail. */
export async function deployment(input: DeploymentInput): Promise<void> {
  await sleep(1000);
  await today(input);
}
