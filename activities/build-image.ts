import { Context } from '@temporalio/activity';
import type { BuildActivities } from '../contracts/activities.ts';
import { builtImageTag, ownedLabels } from '../domain/naming.ts';
import { withHeartbeats } from './heartbeats.ts';
import type { BuildPorts } from './node-ports.ts';

/**
 * Creates the activity that builds an image from a stored context and tags it for its service.
 *
 * Safe to run twice: Docker's cache answers for the steps that were done, and the tag moves to the newer result. A
 * cancel or a shutdown of this process stops the build itself. Heartbeats tell the line printed last.
 *
 * @throws BUILD_FAILED (final) with the last lines.
 */
export function createBuildImage(ports: BuildPorts): BuildActivities {
  return {
    buildImage: ({ deploymentId, projectId, revision, service, source }) =>
      withHeartbeats({ step: 'build' }, async (heartbeats) => {
        const signal = Context.current().cancellationSignal;
        const { contextSha256, dockerfilePath, target, hasArguments } = source;
        const args = hasArguments ? await ports.fetchBuildArguments({ deploymentId, revision, service }) : {};
        return await ports.buildImage({
          context: ports.fetchContext({ deploymentId, contextSha256 }, signal),
          ...{ dockerfilePath, target, args },
          tag: builtImageTag(ports.instance, { deploymentId, revision, service }),
          labels: ownedLabels({ instance: ports.instance, projectId, deploymentId }),
          limits: ports.limits,
          signal,
          onLine: (line) => heartbeats.report({ step: 'build', line: line.slice(0, 200) }),
        });
      }),
  };
}
