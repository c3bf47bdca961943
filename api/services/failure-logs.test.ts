import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { LogsService } from '../../gen/obiente/cloud/v1/logs_pb.ts';
import { ControlService } from '../../gen/obiente/internal/v1/control_pb.ts';
import { type ApiRig, startApiRig } from '../../test/support/api-rig.ts';
import { anEnrolment } from '../../test/support/enrolment.ts';
import { refusalOf } from '../../test/support/refusal.ts';

const NODE = 'node-00000001';

let rig: ApiRig;
beforeAll(async () => {
  rig = await startApiRig();
  for (const nodeId of [NODE, 'node-00000002'])
    await rig.clientOf(ControlService, '').enrolNode(anEnrolment({ nodeId }));
  await rig.db.updateTable('nodes').set({ state: 'ready', reason: '' }).where('id', '=', NODE).execute();
});
afterAll(() => rig.stop());

it('is told by the node of the replica, and read by members of its organization', async () => {
  const { projectId, deployments } = await rig.user('alice');
  const name = `app-${randomUUID().slice(0, 8)}`;
  const spec = { source: { case: 'image', value: { reference: 'nginx:1' } } } as const;
  const { deployment } = await deployments.createDeployment({ idempotencyKey: randomUUID(), projectId, name, spec });
  const deploymentId = deployment?.id ?? '';
  const operationId = deployment?.operation?.id ?? '';
  await rig.store.beginRollout({ deploymentId, operationId });

  const lines = [
    { atMs: 1_700_000_000_123n, isError: false, text: 'starting' },
    { atMs: 1_700_000_000_456n, isError: true, text: 'no database' },
  ];
  const report = { deploymentId, replicaId: 'r1-0', lines, shortened: true };
  const other = rig.clientOf(ControlService, 'node:node-00000002').reportFailure(report);
  expect(await refusalOf(other)).toMatchObject({ code: 'NotFound' });
  await rig.clientOf(ControlService, `node:${NODE}`).reportFailure(report);

  const { logs } = await rig.clientOf(LogsService, 'alice').listFailureLogs({ deploymentId });
  expect(logs).toMatchObject([
    {
      ...{ operationId, replicaId: 'r1-0', service: 'app', revision: 1, shortened: true },
      failedAt: expect.anything(),
      lines: [
        { replicaId: 'r1-0', stream: 'stdout', text: 'starting', at: { seconds: 1_700_000_000n, nanos: 123_000_000 } },
        { replicaId: 'r1-0', stream: 'stderr', text: 'no database' },
      ],
    },
  ]);
  const strange = rig.clientOf(LogsService, 'mallory').listFailureLogs({ deploymentId });
  expect(await refusalOf(strange)).toMatchObject({ code: 'NotFound' });
});
