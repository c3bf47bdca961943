import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { LogsService } from '../../gen/obiente/cloud/v1/logs_pb.ts';
import { SourcesService } from '../../gen/obiente/cloud/v1/sources_pb.ts';
import { ControlService } from '../../gen/obiente/internal/v1/control_pb.ts';
import { type ApiRig, startApiRig } from '../../test/support/api-rig.ts';
import { tarOf } from '../../test/support/docker.ts';
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

/** A deployment of alice whose image the node is building. */
async function aBuild() {
  const { organizationId, projectId, deployments } = await rig.user('alice');
  async function* upload() {
    yield { part: { case: 'header', value: { organizationId } } } as const;
    for await (const chunk of tarOf({ Dockerfile: 'FROM scratch' })) {
      yield { part: { case: 'chunk', value: new Uint8Array(chunk as Buffer) } } as const;
    }
  }
  const { contextSha256 } = await rig.clientOf(SourcesService, 'alice').uploadContext(upload());
  const name = `app-${randomUUID().slice(0, 8)}`;
  const spec = { source: { case: 'dockerfile', value: { contextSha256 } } } as const;
  const { deployment } = await deployments.createDeployment({ idempotencyKey: randomUUID(), projectId, name, spec });
  const deploymentId = deployment?.id ?? '';
  const ref = { deploymentId, operationId: deployment?.operation?.id ?? '' };
  await rig.store.beginRollout(ref);
  const report = (firstNumber: number, ...texts: string[]) => ({
    ...{ deploymentId, revision: 1, service: 'app', attempt: 1_000n, phase: 'building' },
    ...{ firstNumber: BigInt(firstNumber), lines: texts.map((text) => ({ atMs: 1_700_000_000_123n, text })) },
  });
  return { deploymentId, ref, report };
}

it('is followed while it is written, and ends with the build', async () => {
  const { deploymentId, ref, report } = await aBuild();
  const node = rig.clientOf(ControlService, `node:${NODE}`);
  expect(await node.reportBuild(report(1, 'one'))).toMatchObject({ accepted: true });
  const lines: string[] = [];
  const following = (async () => {
    const logs = rig.clientOf(LogsService, 'alice').streamBuildLogs({ deploymentId, follow: true });
    for await (const { line } of logs) if (line) lines.push(`${line.number} ${line.text}`);
  })();
  await expect.poll(() => lines).toEqual(['1 one']);
  await node.reportBuild(report(2, 'two'));
  await expect.poll(() => lines).toEqual(['1 one', '2 two']);
  await rig.store.recordBuild({ ...ref, service: 'app', revision: 1, imageId: `sha256:${'b'.repeat(64)}` });
  await node.reportBuild({ ...report(3, 'three'), complete: true });
  await following;
  expect(lines).toEqual(['1 one', '2 two', '3 three']);
});

it('is kept, with the time and the place of each line', async () => {
  const { deploymentId, report } = await aBuild();
  await rig.clientOf(ControlService, `node:${NODE}`).reportBuild(report(1, 'one', 'two'));
  const logs = rig.clientOf(LogsService, 'alice');
  const found = [];
  for await (const { line } of logs.streamBuildLogs({ deploymentId, revision: 1, after: 1n })) found.push(line);
  expect(found).toMatchObject([
    { number: 2n, text: 'two', revision: 1, service: 'app', at: { seconds: 1_700_000_000n, nanos: 123_000_000 } },
  ]);
  expect(await refusalOf(logs.streamBuildLogs({ deploymentId, revision: 2 }))).toMatchObject({ code: 'NotFound' });
});

it('is told by the node that builds, and by no other', async () => {
  const { report } = await aBuild();
  const other = rig.clientOf(ControlService, 'node:node-00000002');
  expect(await refusalOf(other.reportBuild(report(1, 'forged')))).toMatchObject({ code: 'NotFound' });
  const node = rig.clientOf(ControlService, `node:${NODE}`);
  const long = await refusalOf(node.reportBuild(report(1, 'x'.repeat(8 * 1024 + 1))));
  expect(long).toMatchObject({ code: 'InvalidArgument', field: 'lines[0].text' });
});

it('tells a node where the image of its replica is, with a token for it, and nobody else', async () => {
  const { deploymentId, ref } = await aBuild();
  const imageId = `sha256:${'d'.repeat(64)}`;
  await rig.store.recordBuild({ ...ref, service: 'app', revision: 1, imageId });
  const ask = (nodeId: string, wanted = imageId) =>
    rig.clientOf(ControlService, `node:${nodeId}`).fetchImageSources({ deploymentId, imageId: wanted });
  expect(await refusalOf(ask('node-00000002'))).toMatchObject({ code: 'NotFound' });
  expect(await refusalOf(ask(NODE, 'latest'))).toMatchObject({ code: 'InvalidArgument', field: 'image_id' });
  await rig.db
    .updateTable('replicas')
    .set({ node_id: 'node-00000002' })
    .where('deployment_id', '=', deploymentId)
    .execute();
  expect(await ask('node-00000002')).toMatchObject({
    reference: '',
    holders: [
      { nodeId: NODE, gatewayUrl: 'http://127.0.0.1:7410', token: `node-00000002 may have ${imageId} of ${NODE}` },
    ],
  });
  await rig.db.updateTable('nodes').set({ state: 'lost' }).where('id', '=', NODE).execute();
  expect((await ask('node-00000002')).holders).toMatchObject([{ nodeId: NODE, gatewayUrl: '', token: '' }]);
  await rig.db.updateTable('nodes').set({ state: 'ready' }).where('id', '=', NODE).execute();
});
