import { Context } from '@temporalio/activity';
import type { BuildActivities } from '../contracts/activities.ts';
import type { BuildSource } from '../contracts/rollout.ts';
import { builtImageTag, ownedLabels } from '../domain/naming.ts';
import { withContext } from './build-context.ts';
import { withHeartbeats } from './heartbeats.ts';
import type { BuildPorts } from './node-ports.ts';

/**
 * Creates the activity that builds an image from a stored context or a commit and tags it for its service.
 *
 * Safe to run twice: Docker's cache answers for the steps that were done, and the tag moves to the newer result. A
 * cancel or a shutdown of this process stops the fetch or the build itself. Heartbeats tell the line printed last.
 *
 * @throws BUILD_FAILED (final) with the last lines; SOURCE_REFUSED (final), SOURCE_UNAVAILABLE.
 */
export function createBuildImage(ports: BuildPorts): BuildActivities {
  return {
    buildImage: (input) =>
      withHeartbeats({ step: 'build' }, async (heartbeats) => {
        const { deploymentId, projectId, revision, service } = input;
        const { target, hasArguments } = buildOptions(input.source);
        const signal = Context.current().cancellationSignal;
        const print = (line: string): void => heartbeats.report({ step: 'build', line: line.slice(0, 200) });
        const args = hasArguments ? await ports.fetchBuildArguments({ deploymentId, revision, service }) : {};
        return await withContext(ports, input, { signal, print }, async ({ context, dockerfilePath, detected }) => {
          const { imageId } = await ports.buildImage({
            ...{ context, dockerfilePath, target, args },
            tag: builtImageTag(ports.instance, { deploymentId, revision, service }),
            labels: ownedLabels({ instance: ports.instance, projectId, deploymentId }),
            limits: ports.limits,
            signal,
            onLine: print,
          });
          return { imageId, ...(detected === undefined ? {} : { detected }) };
        });
      }),
  };
}

/** A page is built without options. */
function buildOptions(source: BuildSource): { readonly target?: string | undefined; readonly hasArguments: boolean } {
  return source.kind === 'static' ? { hasArguments: false } : source;
}
