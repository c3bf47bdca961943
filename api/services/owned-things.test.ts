import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { recordOrphans } from '../../adapters/postgres/retention/orphan-records.ts';
import { finishRun } from '../../adapters/postgres/retention/runs.ts';
import { RetentionService } from '../../gen/obiente/cloud/v1/retention_pb.ts';
import { ControlService } from '../../gen/obiente/internal/v1/control_pb.ts';
import { type ApiRig, OPERATOR, startApiRig } from '../../test/support/api-rig.ts';
import { anEnrolment } from '../../test/support/enrolment.ts';
import { refusalOf } from '../../test/support/refusal.ts';

const NODE = 'node-00000001';
const OTHER = 'node-00000002';
const CONTAINER = 'c'.repeat(64);
const NETWORK = 'd'.repeat(64);

let rig: ApiRig;
beforeAll(async () => {
  rig = await startApiRig();
  for (const nodeId of [NODE, OTHER]) await rig.clientOf(ControlService, '').enrolNode(anEnrolment({ nodeId }));
  await rig.db.updateTable('nodes').set({ state: 'ready', reason: '' }).where('id', '=', NODE).execute();
});
afterAll(() => rig.stop());

it('are told to the node that asks, which learns of its own alone', async () => {
  const { projectId, deployments } = await rig.user('alice');
  const name = `app-${randomUUID().slice(0, 8)}`;
  const spec = { source: { case: 'image', value: { reference: 'nginx:1' } } } as const;
  const { deployment } = await deployments.createDeployment({ idempotencyKey: randomUUID(), projectId, name, spec });
  const deploymentId = deployment?.id ?? '';
  await rig.store.beginRollout({ deploymentId, operationId: deployment?.operation?.id ?? '' });
  const things = [
    { id: CONTAINER, ownerId: deploymentId, replicaId: 'r1-0' },
    { id: NETWORK, ownerId: projectId, replicaId: '' },
    { id: 'e'.repeat(64), ownerId: randomUUID(), replicaId: 'r1-0' },
  ];
  const asked = (nodeId: string) => rig.clientOf(ControlService, `node:${nodeId}`).findOwned({ things });
  expect((await asked(NODE)).ids).toEqual([CONTAINER, NETWORK]);
  expect((await asked(OTHER)).ids).toEqual([]);
  const byName = rig.clientOf(ControlService, `node:${NODE}`).findOwned({ things: [{ ...things[0], id: 'web' }] });
  expect(await refusalOf(byName)).toMatchObject({ code: 'InvalidArgument' });
  expect(await refusalOf(rig.clientOf(ControlService, 'alice').findOwned({ things }))).toMatchObject({
    code: 'Unauthenticated',
  });
});

it('that have no owner stand in the report of the run, each with what became of it', async () => {
  const retention = rig.clientOf(RetentionService, OPERATOR);
  const { run } = await retention.runRetention({ idempotencyKey: randomUUID(), nodeId: NODE });
  const runId = run?.id ?? '';
  const orphan = { kind: 'container', id: CONTAINER, name: 'obiente-x-r1-0', nodeId: NODE } as const;
  await recordOrphans(rig.db, { runId, orphans: [{ ...orphan, outcome: 'removed', reason: '' }] });
  await finishRun(rig.db, { runId, error: '' });
  const { orphans } = await retention.getRetentionRun({ runId });
  expect(orphans).toMatchObject([{ ...orphan, outcome: 'removed' }]);
});
