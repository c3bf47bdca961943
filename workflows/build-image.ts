import type { BuildInput } from '../contracts/build.ts';
import type { BuiltImage } from '../contracts/node-activities.ts';
import { FETCHING, onBuilder } from './activity-stubs.ts';

/**
 * Builds the image of one service of a revision on one node.
 *
 * One per service, `deployment/<deployment id>/build/<revision>/<service>`, a child of the deployment: builds are long,
 * and have a history of their own. Ends with the image id, or fails with the last lines of the build. Cancelling it stops
 * the build itself.
 */
export async function buildImage({ nodeId, timing, ...build }: BuildInput): Promise<BuiltImage> {
  const builder = build.source.kind === 'git' ? onBuilder(nodeId, timing, FETCHING) : onBuilder(nodeId, timing);
  return await builder.buildImage(build);
}
