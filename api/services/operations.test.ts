import { randomUUID } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OperationKind, OperationState } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { OperationsService } from '../../gen/obiente/cloud/v1/operations_pb.ts';
import type { DeploymentSpecSchema } from '../../gen/obiente/cloud/v1/spec_pb.ts';
import { type ApiRig, startApiRig } from '../../test/support/api-rig.ts';
import { aReadyNode, rollOut } from '../../test/support/control-data.ts';
import { refusalOf } from '../../test/support/refusal.ts';

type Spec = MessageInitShape<typeof DeploymentSpecSchema>;

const CANARY = 'canary-41d0c2aa';

let rig: ApiRig;
let alice: Awaited<ReturnType<ApiRig['user']>>;

beforeAll(async () => {
  rig = await startApiRig();
  alice = await rig.user('alice');
  await aReadyNode(rig.db);
});
afterAll(() => rig.stop());

const operationsOf = (name: string) => rig.clientOf(OperationsService, name);
const key = () => ({ idempotencyKey: randomUUID() });

/** A deployment whose first revision runs. */
async function aRunning(spec: Spec = {}) {
  const { deployment } = await alice.deployments.createDeployment({
    ...key(),
    projectId: alice.projectId,
    name: `app-${randomUUID().slice(0, 8)}`,
    spec: { source: { case: 'image', value: { reference: 'nginx:1' } }, port: 8080, ...spec } as Spec,
  });
  const deploymentId = deployment?.id ?? '';
  await carryOut(deploymentId, deployment?.operation?.id);
  return { deploymentId };
}

/** Does what the workflow does with an operation. */
async function carryOut(deploymentId: string, operationId: string | undefined): Promise<void> {
  await rollOut(rig.store, deploymentId, { operationId: operationId ?? '' });
}

const stateOf = async (deploymentId: string) => (await alice.deployments.getDeployment({ deploymentId })).deployment;

describe('an operation', () => {
  it('scales, restarts, stops and starts, each recorded with who asked and why', async () => {
    const { deploymentId } = await aRunning();
    const ask = { deploymentId, reason: 'more visitors' };
    const scaled = await alice.deployments.scaleDeployment({ ...key(), ...ask, replicas: 3 });
    expect(scaled.operation).toMatchObject({
      ...{ deploymentId, kind: OperationKind.SCALE, state: OperationState.QUEUED, revision: 0 },
      ...{ scaleService: 'app', scaleReplicas: 3, reason: 'more visitors', actorUserId: alice.userId },
    });
    await carryOut(deploymentId, scaled.operation?.id);
    expect(await stateOf(deploymentId)).toMatchObject({ revision: 1, services: [{ name: 'app', replicas: 3 }] });
    const restarted = await alice.deployments.restartDeployment({ ...key(), ...ask });
    await carryOut(deploymentId, restarted.operation?.id);
    expect((await stateOf(deploymentId))?.replicas.map(({ id }) => id)).toEqual(['r1-3', 'r1-4', 'r1-5']);
    const stopped = await alice.deployments.stopDeployment({ ...key(), ...ask });
    await carryOut(deploymentId, stopped.operation?.id);
    expect(await stateOf(deploymentId)).toMatchObject({ stopped: true, replicas: [] });
    const started = await alice.deployments.startDeployment({ ...key(), ...ask });
    await carryOut(deploymentId, started.operation?.id);
    expect(await stateOf(deploymentId)).toMatchObject({ stopped: false, services: [{ replicas: 3 }] });
    const { operations } = await operationsOf('alice').listOperations({ deploymentId, page: { size: 2 } });
    expect(operations.map(({ kind }) => kind)).toEqual([OperationKind.START, OperationKind.STOP]);
  });

  it('is answered alike when it is asked again, and refused with the same key for something else', async () => {
    const { deploymentId } = await aRunning();
    const request = { ...key(), deploymentId, replicas: 2 };
    const first = await alice.deployments.scaleDeployment(request);
    const again = await alice.deployments.scaleDeployment(request);
    expect(again.operation?.id).toBe(first.operation?.id);
    const other = await refusalOf(alice.deployments.scaleDeployment({ ...request, replicas: 3 }));
    expect(other).toMatchObject({ code: 'AlreadyExists', error: 'IDEMPOTENCY_CONFLICT' });
  });

  it('refuses a service that there is not, and numbers out of range', async () => {
    const { deploymentId } = await aRunning();
    const scale = (changes: object) => alice.deployments.scaleDeployment({ ...key(), deploymentId, ...changes });
    expect(await refusalOf(scale({ service: 'web', replicas: 1 }))).toMatchObject({ field: 'service' });
    expect(await refusalOf(scale({ replicas: 10_001 }))).toMatchObject({ code: 'InvalidArgument', field: 'replicas' });
  });

  it('shows its steps with what they took', async () => {
    const { deploymentId } = await aRunning();
    const { operations } = await operationsOf('alice').listOperations({ deploymentId });
    const { operation, steps } = await operationsOf('alice').getOperation({ operationId: operations[0]?.id ?? '' });
    expect(operation).toMatchObject({ state: OperationState.SUCCEEDED, revision: 1 });
    expect(steps.map(({ kind }) => kind)).toEqual([
      ...['operation.queued', 'operation.started', 'replica.placed', 'replica.healthy', 'route.switched'],
      'operation.succeeded',
    ]);
    expect(steps[0]?.actorUserId).toBe(alice.userId);
    expect(steps[3]?.details).toEqual({ attempt: 1n, prepareMs: 10n, startMs: 200n, healthyMs: 50n });
  });
});

describe('the history of an operation', () => {
  it('is given whole once it has begun, and not before', async () => {
    const { deploymentId } = await aRunning();
    const { operation } = await alice.deployments.restartDeployment({ ...key(), deploymentId });
    const operationId = operation?.id ?? '';
    const read = async () => {
      const chunks: Uint8Array[] = [];
      for await (const { chunk } of operationsOf('alice').exportOperationHistory({ operationId })) chunks.push(chunk);
      return Buffer.concat(chunks).toString();
    };
    expect(await refusalOf(read())).toMatchObject({ code: 'NotFound' });
    await carryOut(deploymentId, operationId);
    expect(await read()).toBe(`history of ${deploymentId}`);
  });
});

describe('a word about an operation', () => {
  it('cancels what waits in line, once, and refuses what is over', async () => {
    const { deploymentId } = await aRunning();
    const { operation } = await alice.deployments.restartDeployment({ ...key(), deploymentId });
    const operationId = operation?.id ?? '';
    const cancel = { ...key(), operationId };
    rig.world.workflowsAway = true;
    const away = await refusalOf(operationsOf('alice').cancelOperation(cancel));
    rig.world.workflowsAway = false;
    expect(away).toMatchObject({ code: 'Unavailable', error: 'WORKFLOWS_UNAVAILABLE' });
    const cancelled = await operationsOf('alice').cancelOperation(cancel);
    expect(cancelled.operation?.state).toBe(OperationState.CANCELLED);
    expect((await operationsOf('alice').cancelOperation(cancel)).operation?.state).toBe(OperationState.CANCELLED);
    const { steps } = await operationsOf('alice').getOperation({ operationId });
    expect(steps.map(({ kind }) => kind)).toEqual([
      ...['operation.queued', 'operation.cancel_requested', 'operation.cancelled'],
    ]);
    const late = await refusalOf(operationsOf('alice').pauseOperation({ ...key(), operationId }));
    expect(late).toMatchObject({ code: 'FailedPrecondition', error: 'OPERATION_ENDED' });
  });

  it('cannot hold what has not begun, nor a removal', async () => {
    const { deploymentId } = await aRunning();
    const queued = await alice.deployments.restartDeployment({ ...key(), deploymentId });
    const early = operationsOf('alice').approveOperation({ ...key(), operationId: queued.operation?.id ?? '' });
    expect(await refusalOf(early)).toMatchObject({ error: 'OPERATION_ENDED' });
    const removal = await alice.deployments.deleteDeployment({ ...key(), deploymentId });
    const late = operationsOf('alice').cancelOperation({ ...key(), operationId: removal.operation?.id ?? '' });
    expect(await refusalOf(late)).toMatchObject({ error: 'OPERATION_ENDED' });
  });
});

describe('a change of a part', () => {
  it('is applied to the newest revision, with all that was changed before', async () => {
    const { deploymentId } = await aRunning({ environment: [{ name: 'A', value: CANARY }], replicas: 2 });
    const change = (changes: object) => alice.deployments.updateDeployment({ ...key(), deploymentId, ...changes });
    await change({ spec: { command: ['serve'] }, updateMask: { paths: ['command'] } });
    await change({ setEnvironment: [{ name: 'B', value: 'b' }] });
    await change({ unsetEnvironment: ['A'], setEnvironment: [{ name: 'C', value: 'c' }] });
    const { spec, revision, operation } = (await stateOf(deploymentId)) ?? {};
    expect(revision).toBe(4);
    expect(operation?.kind).toBe(OperationKind.UPDATE);
    expect(spec).toMatchObject({ command: ['serve'], replicas: 2, port: 8080 });
    expect(spec?.environment.map(({ name }) => name)).toEqual(['B', 'C']);
    const rows = await rig.db
      .selectFrom('revisions')
      .select('spec')
      .where('deployment_id', '=', deploymentId)
      .execute();
    expect(JSON.stringify(rows)).not.toContain(CANARY);
  });

  it('keeps the number of replicas that a scale has made', async () => {
    const { deploymentId } = await aRunning();
    const { operation } = await alice.deployments.scaleDeployment({ ...key(), deploymentId, replicas: 4 });
    await carryOut(deploymentId, operation?.id);
    const source = { case: 'image', value: { reference: 'nginx:2' } } as const;
    await alice.deployments.updateDeployment({ ...key(), deploymentId, spec: { source, port: 8080 } });
    expect((await stateOf(deploymentId))?.spec?.replicas).toBe(4);
  });

  it('keeps the number of replicas that a scale is still to make', async () => {
    const { deploymentId } = await aRunning();
    await alice.deployments.scaleDeployment({ ...key(), deploymentId, replicas: 4 });
    const setEnvironment = [{ name: 'A', value: 'a' }];
    await alice.deployments.updateDeployment({ ...key(), deploymentId, setEnvironment });
    expect((await stateOf(deploymentId))?.spec?.replicas).toBe(4);
    await alice.deployments.rollbackDeployment({ ...key(), deploymentId, toRevision: 1 });
    expect((await stateOf(deploymentId))?.spec?.replicas).toBe(4);
  });

  it.each([
    [{ spec: { port: 80 }, updateMask: { paths: ['ports'] } }, 'update_mask'],
    [{ spec: {}, updateMask: { paths: ['environment'] } }, 'update_mask'],
    [{ spec: {}, updateMask: { paths: ['replicas'] } }, 'spec.replicas'],
    [{ setEnvironment: [{ name: 'A' }] }, 'set_environment[0].value'],
    [{ setEnvironment: [{ name: 'A', value: 'a' }], unsetEnvironment: ['A'] }, 'unset_environment'],
    [{ unsetEnvironment: ['NOT_THERE'] }, 'unset_environment'],
    [{ spec: { port: undefined }, updateMask: { paths: ['port'] }, reason: 'x'.repeat(501) }, 'reason'],
    [{}, 'spec'],
  ])('is refused with its field: %j', async (changes, field) => {
    const { deploymentId } = await aRunning();
    const before = await stateOf(deploymentId);
    const refused = await refusalOf(alice.deployments.updateDeployment({ ...key(), deploymentId, ...changes }));
    expect(refused).toMatchObject({ code: 'InvalidArgument', field });
    expect(await stateOf(deploymentId)).toEqual(before);
  });
});

describe('a rollback', () => {
  it('is a new revision with the spec and the image of the old one', async () => {
    const { deploymentId } = await aRunning({ environment: [{ name: 'A', value: 'one' }] });
    const source = { case: 'image', value: { reference: 'nginx:2' } } as const;
    const update = { spec: { source, port: 8080, environment: [] }, ...key(), deploymentId };
    const { deployment } = await alice.deployments.updateDeployment(update);
    await carryOut(deploymentId, deployment?.operation?.id);
    const { operation } = await alice.deployments.rollbackDeployment({ ...key(), deploymentId });
    expect(operation).toMatchObject({ kind: OperationKind.ROLLBACK, revision: 3 });
    const { revisions } = await alice.deployments.listRevisions({ deploymentId });
    expect(revisions.map(({ number, copyOf }) => [number, copyOf])).toEqual([
      [3, 1],
      [2, 0],
      [1, 0],
    ]);
    expect(revisions[0]).toMatchObject({
      spec: { source: { case: 'image', value: { reference: 'nginx:1' } }, environment: [{ name: 'A' }] },
      imageDigests: revisions[2]?.imageDigests,
      operation: { id: operation?.id },
    });
  });

  it('is refused to what never ran, to what there is not, and without an earlier revision', async () => {
    const { deploymentId } = await aRunning();
    const source = { case: 'image', value: { reference: 'nginx:2' } } as const;
    const to = (toRevision: number) => alice.deployments.rollbackDeployment({ ...key(), deploymentId, toRevision });
    expect(await refusalOf(to(0))).toMatchObject({ error: 'NOT_DEPLOYED', field: 'to_revision' });
    await alice.deployments.updateDeployment({ ...key(), deploymentId, spec: { source, port: 8080 } });
    expect(await refusalOf(to(2))).toMatchObject({ error: 'NOT_DEPLOYED', field: 'to_revision' });
    expect(await refusalOf(to(9))).toMatchObject({ code: 'NotFound' });
  });
});
