import { randomBytes } from 'node:crypto';
import proto from '@temporalio/proto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toApplicationFailure } from '../../activities/failures.ts';
import { deploymentWorkflowId } from '../../contracts/deployment.ts';
import { DomainError } from '../../domain/errors.ts';
import { aDeployRequest, aSpec } from '../support/builders.ts';
import { eventually } from '../support/eventually.ts';
import { createFakeCluster } from '../support/fake-cluster.ts';
import { aPlace, startWorkflowRig } from '../support/workflow-rig.ts';

const { History } = proto.temporal.api.history.v1;

let rig: Awaited<ReturnType<typeof startWorkflowRig>>;
beforeAll(async () => {
  rig = await startWorkflowRig();
}, 60_000);
afterAll(async () => await rig.stop());

describe('what the Temporal server stores', { timeout: 60_000 }, () => {
  it('holds neither inputs nor results nor messages of failures in the clear', async () => {
    const canary = `canary-${randomBytes(12).toString('hex')}`;
    const onStart = async (): Promise<void> => {
      throw toApplicationFailure(new DomainError('REPLICA_UNHEALTHY', `it said ${canary}`));
    };
    const refusedInHandler = aDeployRequest({ createAs: null, spec: aSpec({ command: [canary] }) });
    const cluster = createFakeCluster({ onStart });
    const place = aPlace();
    await rig.withCluster(cluster, async () => {
      const first = aDeployRequest({ spec: aSpec({ command: [canary] }) });
      await rig.gateway.submit({ ...place, request: first });
      await eventually(() => expect(cluster.operations.get(first.operationId)?.failure?.message).toContain(canary));
      await rig.gateway.submit({ ...place, request: refusedInHandler });
      const other = { ...refusedInHandler, requestHash: 'f'.repeat(64) };
      await expect(rig.gateway.submit({ ...place, request: other })).rejects.toMatchObject({
        code: 'IDEMPOTENCY_CONFLICT',
      });
    });
    const workflowId = deploymentWorkflowId(place.deploymentId);
    const stored = Buffer.from(
      History.encode(await rig.client.workflow.getHandle(workflowId).fetchHistory()).finish(),
    ).toString('latin1');
    expect(stored).not.toContain(canary);
    expect(stored).not.toContain('same key, other content');
    expect(stored).toContain('ensureReplica');
    await rig.client.workflow.getHandle(workflowId).terminate();
  });
});
