import type { NodeActivities } from '../contracts/node-activities.ts';
import { LABEL, networkName } from '../domain/naming.ts';
import type { GitPorts } from './git-ports.ts';
import { withHeartbeats } from './heartbeats.ts';
import type { ReplicaPorts } from './node-ports.ts';

/**
 * Creates the activity that removes what a deleted deployment leaves on a node: the images built for it, its own
 * network, the project's once no container is attached, and the host keys of its Git server.
 *
 * Safe to run twice: what is gone counts as removed. Pulled images stay, as others may run them.
 */
export function createRemoveLeftovers({
  instance,
  runtime,
  git,
}: Pick<ReplicaPorts, 'instance' | 'runtime'> & { readonly git: Pick<GitPorts, 'forget'> }): Pick<
  NodeActivities,
  'removeLeftovers'
> {
  return {
    removeLeftovers: ({ deploymentId, projectId }) =>
      withHeartbeats({ step: 'remove images' }, async (heartbeats) => {
        await runtime.removeImages({ [LABEL.instance]: instance, [LABEL.deploymentId]: deploymentId });
        await git.forget(deploymentId);
        heartbeats.report({ step: 'remove network' });
        await runtime.removeNetworkIfUnused(networkName(instance, deploymentId));
        await runtime.removeNetworkIfUnused(networkName(instance, projectId));
      }),
  };
}
