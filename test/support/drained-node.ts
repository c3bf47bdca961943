import { randomUUID } from 'node:crypto';
import { withFailures } from '../../activities/failures.ts';
import type { DrainActivities } from '../../contracts/drain.ts';
import type { DomainError } from '../../domain/errors.ts';
import { aDeployRequest, aSpec } from './builders.ts';
import { eventually } from './eventually.ts';
import { createFakeCluster, type FakeBehaviour } from './fake-cluster.ts';
import { aPlace, type startWorkflowRig } from './workflow-rig.ts';

/** What a test makes of the records of a drain. */
export interface DrainBehaviour extends FakeBehaviour {
  /** Deployments that are listed beside the one that there is. */
  readonly others?: readonly string[];
  readonly refuse?: () => DomainError | undefined;
}

/**
 * Runs a deployment, empties the node that it is on, and leaves the end of that to `during`.
 *
 * @returns what was recorded, and whose workflows they are.
 */
export async function drainNode(
  rig: Awaited<ReturnType<typeof startWorkflowRig>>,
  behaviour: DrainBehaviour = {},
  during: (drain: { readonly nodeId: string; readonly ended: () => Promise<void> }) => Promise<void> = ({ ended }) =>
    ended(),
) {
  const nodeId = `node-${randomUUID()}`;
  const place = aPlace();
  const cluster = createFakeCluster(behaviour);
  const recorded: string[] = [];
  const operationOf = (kind: string) => [...cluster.operations.values()].find((one) => one.kind === kind);
  const drains: DrainActivities = {
    beginDrain: async () => {
      const refusal = behaviour.refuse?.();
      if (refusal) throw refusal;
      recorded.push('begun');
      return { open: true };
    },
    listMovable: async () =>
      operationOf('move')?.state === 'succeeded' ? [] : [place.deploymentId, ...(behaviour.others ?? [])],
    touchDrain: async () => {
      recorded.push('one ended');
    },
    endDrain: async ({ state }) => {
      recorded.push(state);
    },
  };
  const ended = () =>
    eventually(() => {
      if (!recorded.includes('done') && !recorded.includes('stopped')) throw new Error('not ended yet');
    });
  await rig.withCluster(
    cluster,
    async () => {
      await rig.gateway.submit({ ...place, request: aDeployRequest({ spec: aSpec({ replicas: 2 }) }) });
      await eventually(() => {
        if (operationOf('deploy')?.state !== 'succeeded') throw new Error('not deployed yet');
      });
      const asked = { nodeId, drainId: randomUUID(), actorUserId: randomUUID(), reason: '', atOnce: 2 };
      await rig.gateway.drainNode(asked);
      await during({ nodeId, ended });
    },
    withFailures({ ...drains }),
  );
  return { cluster, place, nodeId, recorded };
}
