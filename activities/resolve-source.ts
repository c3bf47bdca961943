import { Context } from '@temporalio/activity';
import type { NodeActivities } from '../contracts/node-activities.ts';
import type { GitPorts } from './git-ports.ts';
import { withHeartbeats } from './heartbeats.ts';

/**
 * Creates the activity that asks a Git server which commit a ref stands for.
 *
 * Safe to run twice: it only reads. A cancel ends git at once. SOURCE_REFUSED is final.
 */
export function createResolveSource(git: Pick<GitPorts, 'resolveRef'>): Pick<NodeActivities, 'resolveSource'> {
  return {
    resolveSource: (input) =>
      withHeartbeats({ step: 'look up the commit' }, () => git.resolveRef(input, Context.current().cancellationSignal)),
  };
}
